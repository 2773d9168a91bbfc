//! `make demo`: publish at the hub, run at the edge, cut everything, keep it running.

use std::process::ExitCode;

use scenarios::demo::{Site, run, say};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let once = std::env::args().any(|arg| arg == "--once");
    let dir = match tempfile::Builder::new().prefix("causeway-demo-").tempdir() {
        Ok(dir) => dir,
        Err(error) => {
            say(&format!("no directory for the demo: {error}"));
            return ExitCode::FAILURE;
        }
    };
    say(&format!("Everything of this demo lies below {} and is removed at its end.\n", dir.path().display()));
    let mut site = match Site::new(dir.path()).await {
        Ok(site) => site,
        Err(failure) => {
            say(&failure);
            return ExitCode::FAILURE;
        }
    };
    let told = run(&mut site).await;
    if let Err(failure) = &told {
        say(&format!("FAILED: {failure}\n\n{}", site.logs()));
    } else {
        say("Everything was shown.");
    }
    if told.is_ok() && !once {
        let config = site.dir.join("config");
        say(&format!("\n  the app      http://127.0.0.1:{}/", site.page));
        say(&format!("  the hub      XDG_CONFIG_HOME={} hubctl get nodes", config.display()));
        say(&format!("  the node     edge-node ps --socket {}", site.dir.join("run/node.sock").display()));
        say("\nIt stays up until Ctrl-C.");
        drop(tokio::signal::ctrl_c().await);
    }
    drop(site);
    if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
