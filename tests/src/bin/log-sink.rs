//! The logger of containers that the real lane starts: what the daemon's own program does when containerd asks for it.

fn main() {
    assert!(edge_node::runtime::containerd::log::sink::run_if_asked(), "this program is started by containerd only");
}
