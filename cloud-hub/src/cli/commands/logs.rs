//! `hubctl logs`: what an app prints on a node, through the hub.

use reqwest::Method;

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
        let text: String = std::iter::from_fn(|| lines.next()).map(|line| line + "\n").collect();
        session.out.lines(&text)?;
    }
    let text = lines.last().map(|line| line + "\n").unwrap_or_default();
    Ok(session.out.lines(&text)?)
}
