//! `hubctl logs`: what an app prints on a node, through the hub.

use reqwest::Method;
use shared::people;

use super::super::args::Logs;
use super::super::client::Target;
use super::super::error::CliError;
use super::super::kinds::name;
use super::super::lines::Lines;
use super::super::session::Session;

pub(super) async fn run(session: &mut Session, args: &Logs) -> Result<(), CliError> {
    for text in [&args.node, &args.app].into_iter().chain(&args.service) {
        name(text)?;
    }
    let client = session.client()?;
    let target = Target::new(&["nodes", &args.node, "logs"])
        .with("app", &args.app)
        .with_some("service", args.service.as_ref())
        .with_some("tail", args.tail)
        .with("follow", args.follow);
    let mut stream = client.stream(Method::GET, target, None, None).await?;
    let mut lines = Lines::default();
    while let Some(piece) = stream.next().await? {
        lines.add(&piece);
        let mut text = String::new();
        while let Some(line) = lines.next() {
            add(session, &mut text, &line);
        }
        session.out.write(&text)?;
    }
    let mut text = String::new();
    if let Some(line) = lines.last() {
        add(session, &mut text, &line);
    }
    Ok(session.out.write(&text)?)
}

/// Adds a line: as it is for a program, without tricks for a terminal.
fn add(session: &Session, text: &mut String, line: &str) {
    if session.out.results_on_terminal {
        text.push_str(&people::log(line));
    } else {
        text.push_str(line);
    }
    text.push('\n');
}
