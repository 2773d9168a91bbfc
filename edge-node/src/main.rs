//! `edge-node`: the daemon of one edge machine, and its on-site command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    if edge_node::runtime::containerd::log::sink::run_if_asked() {
        return ExitCode::SUCCESS; // containerd started us to write a container's log.
    }
    edge_node::cli::main(std::env::args_os().collect())
}
