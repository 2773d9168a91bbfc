//! `edge-node`: the daemon of one edge machine, and its on-site command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    edge_node::cli::main(std::env::args_os().collect())
}
