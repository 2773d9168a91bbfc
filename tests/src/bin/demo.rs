//! `make demo`: publish at the hub, run at the edge, cut everything, keep it running.

use std::path::Path;
use std::process::ExitCode;

use scenarios::demo::{Failure, Site, program, run, say};
use scenarios::firewall::SharedChains;
use tokio::signal::unix::{SignalKind, signal};

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
    let _chains = SharedChains::remember();
    let told = tokio::select! {
        told = show(dir.path()) => told,
        () = interrupted() => Err("interrupted".into()),
    };
    match told {
        Ok(site) if !once => {
            invite(&site);
            interrupted().await;
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => {
            say(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Shows everything on a site below `dir`, which then goes on.
async fn show(dir: &Path) -> Result<Site, Failure> {
    let mut site = Site::new(dir).await?;
    run(&mut site).await.map_err(|failure| format!("FAILED: {failure}\n\n{}", site.logs()))?;
    say("Everything was shown.");
    Ok(site)
}

/// Says how to look around.
fn invite(site: &Site) {
    let (hubctl, edge_node) = (program("hubctl"), program("edge-node"));
    let (hubctl, edge_node) = (hubctl.get_program().display(), edge_node.get_program().display());
    say(&format!("\n  the app      http://127.0.0.1:{}/", site.page));
    say(&format!("  the hub      XDG_CONFIG_HOME={} {hubctl} get nodes", site.dir.join("config").display()));
    say(&format!("  the node     {edge_node} ps --socket {}", site.dir.join("run/node.sock").display()));
    say("\nIt stays up until Ctrl-C.");
}

/// Ctrl-C, or the end that a service manager asks for.
async fn interrupted() {
    let asked = async {
        match signal(SignalKind::terminate()) {
            Ok(mut end) => _ = end.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = asked => {}
    }
}
