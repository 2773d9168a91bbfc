//! What the shell says: variables, and which streams are terminals. Read once, then passed on.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use shared::fault::Lang;

/// The surroundings of one run.
#[derive(Debug, Clone, Default)]
pub struct Env {
    vars: BTreeMap<String, String>,
    /// Somebody can be asked.
    pub asks: bool,
    /// Results go to a terminal.
    pub stdout_terminal: bool,
    /// Remarks go to a terminal.
    pub stderr_terminal: bool,
}

impl Env {
    /// As the process was started.
    pub fn of_process() -> Self {
        let (stdin, stderr) = (std::io::stdin().is_terminal(), std::io::stderr().is_terminal());
        Self {
            vars: std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect(),
            asks: stdin && stderr,
            stdout_terminal: std::io::stdout().is_terminal(),
            stderr_terminal: stderr,
        }
    }

    /// With these variables and no terminal.
    #[cfg(test)]
    pub(super) fn of(vars: &[(&str, &str)]) -> Self {
        Self { vars: vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), ..Self::default() }
    }

    /// A variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whether remarks may have colours (no-color.org).
    pub fn colour(&self) -> bool {
        self.stderr_terminal && self.var("NO_COLOR").is_none() && self.var("TERM") != Some("dumb")
    }

    /// The reader's language: `--lang` of `args`, else the first locale variable that is set (POSIX order).
    pub fn lang(&self, args: &[String]) -> Lang {
        let words = || args.iter().map(String::as_str).take_while(|word| *word != "--");
        let equals = words().filter_map(|word| word.strip_prefix("--lang="));
        let apart = words().zip(words().skip(1)).filter(|(flag, _)| *flag == "--lang").map(|(_, value)| value);
        let flag = equals.chain(apart).next();
        let locale = || ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| self.var(name));
        flag.or_else(locale).map_or(Lang::En, Lang::from_locale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_chosen_before_anything_is_read() {
        type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], Lang);
        let cases: &[Case<'_>] = &[
            (&[], &[], Lang::En),
            (&[], &[("LANG", "zh_CN.UTF-8")], Lang::Zh),
            (&[], &[("LC_ALL", "C"), ("LANG", "zh_CN.UTF-8")], Lang::En),
            (&[], &[("LC_ALL", ""), ("LC_MESSAGES", "zh_TW"), ("LANG", "en_US")], Lang::Zh),
            (&["get", "--lang", "en"], &[("LANG", "zh_CN")], Lang::En),
            (&["get", "--lang=zh", "nodes"], &[], Lang::Zh),
            (&["--", "--lang=zh"], &[], Lang::En),
            (&["--lang"], &[], Lang::En),
        ];
        for (args, vars, lang) in cases {
            let args: Vec<String> = args.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(Env::of(vars).lang(&args), *lang, "{args:?} {vars:?}");
        }
    }
}
