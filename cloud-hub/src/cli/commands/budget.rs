//! `hubctl budget`: what images may take of nodes' links.

use reqwest::Method;
use serde_json::Value;
use shared::fault::{Fault, Faulty, cli};

use super::super::args::{BudgetCommand, BudgetSet, Format};
use super::super::error::CliError;
use super::super::kinds::{Kind, shown};
use super::super::rows;
use super::super::session::Session;
use super::super::show::Shape;
use super::target::{asked, target};
use crate::api::types::{Budget, BudgetLimits, NewBudget};

pub(super) async fn run(session: &mut Session, command: &BudgetCommand) -> Result<(), CliError> {
    match command {
        BudgetCommand::Set(args) => set(session, args).await,
        BudgetCommand::Remove { name } => {
            session.client()?.delete(Kind::Budgets.single(name)?).await?;
            let word = Kind::Budgets.word(session.lang());
            Ok(session.out.say(&Fault::new(&cli::REMOVED).with("kind", word).with("name", name))?)
        }
    }
}

async fn set(session: &mut Session, args: &BudgetSet) -> Result<(), CliError> {
    let path = Kind::Budgets.single(&args.name)?;
    let limits = limits(args)?;
    let asked = asked(&args.nodes)?;
    let client = session.client()?;
    let (target, seen) = target(&client, Kind::Budgets, &args.name, asked).await?;
    let (object, _): (Value, _) = client.change(Method::PUT, path, seen, &NewBudget::new(target, limits)).await?;
    let budget: Budget = serde_json::from_value(object.clone()).map_err(|error| client.bad_answer(error))?;
    match args.output.format {
        Format::Table | Format::Wide => {
            let limits = rows::budget::limits(&budget.spec.limits, session.lang());
            let fault = Fault::new(&cli::BUDGET_SET).with("name", &args.name).with("limits", limits);
            Ok(session.out.say(&fault.with("nodes", budget.status.nodes.len()))?)
        }
        Format::Json | Format::Yaml | Format::Name => {
            Shape::new(session, Kind::Budgets, args.output.format, true).one(session, &object)
        }
    }
}

/// What the command line says, checked as the hub will.
fn limits(args: &BudgetSet) -> Result<BudgetLimits, CliError> {
    let size = |argument, text: &Option<String>| text.as_ref().map(|text| bytes(argument, text)).transpose();
    let limits = BudgetLimits {
        rate: args.rate.as_ref().map(|text| rate(text)).transpose()?,
        per_day: size("--per-day", &args.per_day)?,
        per_month: size("--per-month", &args.per_month)?,
        windows: args.window.clone(),
        zone: args.zone.clone(),
    };
    let budget = shared::budget::Budget::try_from(limits);
    budget.and_then(|budget| budget.check().map(|()| (&budget).into())).map_err(|error| CliError::Usage(error.fault()))
}

/// `2GiB`, `500MB`, `64k`: powers of 1024.
fn bytes(argument: &str, text: &str) -> Result<u64, CliError> {
    let plain = text.trim().to_ascii_lowercase().replace("ib", "b");
    plain.parse().map(|size: shared::manifest::ByteSize| size.0).map_err(|_| bad(argument, text, "2GiB, 500MiB, 64k"))
}

/// `1Mbit` (powers of 1000) or `128KiB` (powers of 1024), of a second.
fn rate(text: &str) -> Result<u64, CliError> {
    let plain = text.trim().strip_suffix("/s").unwrap_or(text.trim()).to_ascii_lowercase();
    let Some(bits) = plain.strip_suffix("bit") else { return bytes("--rate", &plain) };
    let (number, unit) = match bits.chars().last() {
        Some('k') => (bits.trim_end_matches('k'), 1000),
        Some('m') => (bits.trim_end_matches('m'), 1_000_000),
        Some('g') => (bits.trim_end_matches('g'), 1_000_000_000),
        _ => (bits, 1),
    };
    let bits = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bits.map(|bits| bits / 8).ok_or_else(|| bad("--rate", text, "1Mbit, 256kbit, 128KiB"))
}

fn bad(argument: &str, text: &str, form: &str) -> CliError {
    let fault = Fault::new(&cli::BAD_PAIR).with("text", format_args!("{argument} {}", shown(text)));
    CliError::Usage(fault.with("form", form))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_rates_are_read_as_people_write_them() {
        for (text, expected) in
            [("2GiB", Some(2 << 30)), ("500MB", Some(500 << 20)), ("64k", Some(64 << 10)), ("much", None), ("", None)]
        {
            assert_eq!(bytes("--per-day", text).ok(), expected, "{text}");
        }
        for (text, expected) in [
            ("1Mbit", Some(125_000)),
            ("256kbit/s", Some(32_000)),
            ("128KiB", Some(128 << 10)),
            ("1MiB/s", Some(1 << 20)),
            ("xbit", None),
            ("99999999999999999999bit", None),
        ] {
            assert_eq!(rate(text).ok(), expected, "{text}");
        }
    }
}
