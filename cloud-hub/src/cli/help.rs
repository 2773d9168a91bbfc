//! clap in the reader's language: its help, and its errors as faults.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use shared::fault::{Fault, Lang, cli};

use super::args::Cli;
use super::help_zh::{self, ZH};

/// Exit codes, below the top-level help.
const FOOTER: &str = "Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 denied, 5 conflict, 6 timeout, 7 hub unreachable";

/// What reading the command line gave.
#[derive(Debug)]
pub(super) enum Read {
    /// A command.
    Command(Box<Cli>),
    /// A text that was asked for: help, or the version.
    Text(String),
    /// Nothing that can be run.
    Wrong(Fault),
}

/// Reads the command line; `args` begins with the program's name.
#[expect(clippy::wildcard_enum_match_arm, reason = "clap's kinds of errors are open")]
pub(super) fn read(args: &[String], lang: Lang) -> Read {
    match command(lang).try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Read::Command(Box::new(cli)),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp => Read::Text(translated(error.render().to_string(), lang)),
            ErrorKind::DisplayVersion => Read::Text(error.render().to_string()),
            _ => Read::Wrong(fault(&error, args)),
        },
    }
}

/// The whole command line in the reader's language.
pub(super) fn command(lang: Lang) -> Command {
    let root = Cli::command().color(clap::ColorChoice::Never).term_width(0);
    let version = Arg::new("version").short('V').long("version").action(ArgAction::Version).help("Show the version of hubctl");
    let footer = if lang == Lang::Zh { help_zh::FOOTER } else { FOOTER };
    localized(root.arg(version).after_help(footer), "", lang)
}

/// The command with its subcommands, each with its own help option and its texts.
fn localized(command: Command, path: &str, lang: Lang) -> Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Show help").display_order(1000);
    let mut command = command.arg(help).disable_help_flag(true).disable_help_subcommand(true);
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |sub| localized(sub, &path, lang));
    }
    let (commands, arguments, options) = match lang {
        Lang::En => ("Commands", "Arguments", "Options"),
        Lang::Zh => ("命令", "参数", "选项"),
    };
    command = command.subcommand_help_heading(commands).subcommand_value_name("COMMAND");
    let mut place = 0;
    command = command.mut_args(|arg| {
        let arg = if arg.is_positional() {
            place += 1;
            // Below a heading of its own clap would sort them by name.
            arg.help_heading(arguments).display_order(place)
        } else {
            arg.help_heading(options)
        };
        match zh(path, Some(arg.get_id().as_str())).filter(|_| lang == Lang::Zh) {
            Some(text) => arg.help(text),
            None => arg,
        }
    });
    match zh(path, None).filter(|_| lang == Lang::Zh) {
        Some(about) => command.about(about),
        None => command,
    }
}

/// The Chinese text of a command or of one of its arguments; what every command has is looked up at the root.
fn zh(path: &str, argument: Option<&str>) -> Option<&'static str> {
    let find = |key: &str| ZH.iter().find(|(known, _)| *known == key).map(|(_, text)| *text);
    match argument {
        None => find(path),
        Some(argument) => find(&format!("{path}.{argument}")).or_else(|| find(&format!(".{argument}"))),
    }
}

/// The words that clap itself puts into a help text.
fn translated(text: String, lang: Lang) -> String {
    match lang {
        Lang::En => text,
        Lang::Zh => help_zh::WORDS.iter().fold(text, |text, (en, zh)| text.replace(en, zh)),
    }
}

/// The command of `args` as far as it is one, with `--help`: where to read on.
fn where_to_read(args: &[String]) -> String {
    let mut command = Cli::command();
    let mut words = vec!["hubctl".to_owned()];
    for word in args.iter().skip(1).filter(|word| !word.starts_with('-')) {
        let Some(sub) = command.find_subcommand(word).cloned() else { break };
        words.push(sub.get_name().to_owned());
        command = sub;
    }
    words.push("--help".into());
    words.join(" ")
}

/// clap's error as a fault of ours.
#[expect(clippy::wildcard_enum_match_arm, reason = "clap's kinds of errors are open")]
fn fault(error: &clap::Error, args: &[String]) -> Fault {
    let context = |kind| error.get(kind).map(shown).filter(|text| !text.is_empty());
    let argument = || context(ContextKind::InvalidArg).unwrap_or_default();
    let unknown = |given: Option<String>, near: Option<String>| {
        let text = if near.is_some() { &cli::UNKNOWN_ARGUMENT_NEAR } else { &cli::UNKNOWN_ARGUMENT };
        Fault::new(text).with("given", given.unwrap_or_default()).with("near", near.unwrap_or_default())
    };
    let fault = match error.kind() {
        ErrorKind::UnknownArgument => unknown(context(ContextKind::InvalidArg), context(ContextKind::SuggestedArg)),
        ErrorKind::InvalidSubcommand => {
            unknown(context(ContextKind::InvalidSubcommand), context(ContextKind::SuggestedSubcommand))
        }
        ErrorKind::InvalidValue => match (context(ContextKind::InvalidValue), context(ContextKind::ValidValue)) {
            (Some(value), Some(choices)) => {
                Fault::new(&cli::BAD_CHOICE).with("value", value).with("argument", argument()).with("choices", choices)
            }
            _ => Fault::new(&cli::NO_VALUE).with("argument", argument()),
        },
        ErrorKind::ValueValidation => Fault::new(&cli::BAD_VALUE)
            .with("value", context(ContextKind::InvalidValue).unwrap_or_default())
            .with("argument", argument())
            .with("why", innermost(error)),
        ErrorKind::MissingRequiredArgument => Fault::new(&cli::MISSING_ARGUMENT).with("arguments", argument()),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Fault::new(&cli::MISSING_COMMAND),
        ErrorKind::ArgumentConflict => Fault::new(&cli::ARGUMENT_CONFLICT)
            .with("argument", argument())
            .with("other", context(ContextKind::PriorArg).unwrap_or_else(argument)),
        _ => {
            let text = error.render().to_string();
            Fault::new(&cli::BAD_USAGE).with("why", text.lines().next().unwrap_or_default().trim_start_matches("error: "))
        }
    };
    fault.with("help", where_to_read(args))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "clap's kinds of values are open")]
fn shown(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => texts.iter().map(StyledStr::to_string).collect::<Vec<_>>().join(", "),
        ContextValue::Number(number) => number.to_string(),
        ContextValue::Bool(flag) => flag.to_string(),
        _ => String::new(),
    }
}

fn innermost(error: &clap::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests;
