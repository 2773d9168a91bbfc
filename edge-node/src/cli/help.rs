//! Help in two languages, the choice between them, and completion scripts.
//!
//! English help stands at the words themselves in [`super::args`]; the Chinese texts are the table below, by command
//! and argument. A test walks all words and finds none without both.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Command, CommandFactory};
use shared::fault::Lang;

use super::args::Args;
use super::exit::Ended;
use super::out::Out;

/// The language of the command line, known before the command line is read: `--lang`, else the locale.
pub fn language(arguments: &[OsString], variable: impl Fn(&str) -> Option<String>) -> Lang {
    let texts: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let after = texts.iter().zip(texts.iter().skip(1)).find(|(flag, _)| **flag == "--lang").map(|(_, value)| *value);
    let named = after.or_else(|| texts.iter().find_map(|text| text.strip_prefix("--lang=")));
    match named {
        Some(named) => Lang::from_locale(named),
        None => {
            let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
            Lang::from_locale(&set.unwrap_or_default())
        }
    }
}

/// The command with its help in this language.
pub fn command(lang: Lang) -> Command {
    spoken(Args::command(), "", lang)
}

/// Writes a completion script.
pub fn completion(shell: clap_complete::Shell, out: &mut Out) -> Result<(), Ended> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(out.lang()), "edge-node", &mut script);
    out.bytes(&script)
}

fn spoken(command: Command, path: &str, lang: Lang) -> Command {
    let say = |en, zh| if lang == Lang::Zh { zh } else { en };
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help).help(say("Show help", "显示帮助"));
    let template =
        say("{about}\n\nUsage: {usage}\n\n{all-args}{after-help}\n", "{about}\n\n用法：{usage}\n\n{all-args}{after-help}\n");
    let about = chinese(path).filter(|_| lang == Lang::Zh).map(str::to_owned);
    let about = about.or_else(|| command.get_about().map(ToString::to_string)).unwrap_or_default();
    let command = command.disable_help_flag(true).arg(help).about(about).help_template(template);
    let command = command.subcommand_help_heading(say("Commands", "命令")).subcommand_value_name(say("COMMAND", "命令"));
    let command = command.mut_args(|arg| {
        let heading = if arg.is_positional() { say("Arguments", "参数") } else { say("Options", "选项") };
        let text = chinese(&format!("{path}.{}", arg.get_id())).filter(|_| lang == Lang::Zh);
        let takes_values = arg.get_action().takes_values();
        let arg =
            arg.help_heading(heading).hide_possible_values(takes_values).hide_default_value(takes_values).hide_env(takes_values);
        match text {
            Some(text) => arg.help(text),
            None => arg,
        }
    });
    command.mut_subcommands(|sub| {
        let path = format!("{path} {}", sub.get_name());
        spoken(sub, path.trim(), lang)
    })
}

fn chinese(key: &str) -> Option<&'static str> {
    CHINESE.iter().find(|(known, _)| *known == key).map(|(_, text)| *text)
}

/// By command, or by command and argument.
static CHINESE: &[(&str, &str)] = &[
    ("", "在本机运行应用（无论能否连接中心），并显示其状态"),
    (".lang", "语言：en 或 zh；默认取自系统区域设置"),
    (".output", "结果的形式：table（表格）或 json"),
    (".socket", "守护进程的套接字；默认取自 node.toml"),
    ("run", "运行守护进程"),
    ("run.config", "设置文件；默认为 /etc/causeway/node.toml（如果存在）"),
    ("run.check", "检查设置和本机，显示将使用的值，然后结束"),
    ("run.state_dir", "重启后仍保留的数据"),
    ("run.run_dir", "套接字、锁、网络命名空间"),
    ("run.runtime", "容器运行时：containerd，或用于试用的 memory"),
    ("run.containerd_socket", "containerd 的套接字"),
    ("run.containerd_namespace", "containerd 中的命名空间"),
    ("run.log_format", "守护进程自身日志的形式：text 或 json"),
    ("run.log_level", "守护进程自身日志的级别：error、warn、info、debug 或 trace"),
    ("join", "用中心签发的令牌接入中心；没有网络时，由人携带文件完成"),
    ("join.token", "中心打印的令牌；- 表示从标准输入读取"),
    ("join.request", "不联系中心，而是把本节点的接入请求写入文件，供 hubctl answer-join 使用"),
    ("join.answer", "hubctl answer-join 针对本节点请求写出的应答文件"),
    ("join.again", "放弃本节点现有的身份"),
    ("join.config", "设置文件；默认为 /etc/causeway/node.toml（如果存在）"),
    ("join.state_dir", "重启后仍保留的数据"),
    ("status", "显示节点及其与中心的连接"),
    ("df", "显示磁盘占用：镜像及其使用者、分层包、卷、日志"),
    ("ps", "列出应用和服务"),
    ("logs", "显示应用或某个服务的日志"),
    ("logs.app", "应用"),
    ("logs.service", "服务；省略则为该应用的全部服务"),
    ("logs.follow", "持续显示新的日志"),
    ("logs.tail", "显示最后若干行"),
    ("start", "运行在本机停止的应用或服务"),
    ("start.app", "应用"),
    ("start.service", "服务；省略则为整个应用"),
    ("stop", "停止应用或服务；重启机器或部署新的发布包后仍保持停止，直到在本机启动"),
    ("stop.app", "应用"),
    ("stop.service", "服务；省略则为整个应用"),
    ("restart", "将应用或服务的进程停止一次并重新启动"),
    ("restart.app", "应用"),
    ("restart.service", "服务；省略则为整个应用"),
    ("transfers", "列出正在传往本节点的镜像及其等待原因"),
    ("pause", "暂停一个或全部传输；重启后仍保持暂停，直到在本机恢复，已传输的内容不会丢失"),
    ("pause.image", "镜像，与 transfers 所列一致；省略则为全部"),
    ("resume", "恢复在本机暂停的一个或全部传输"),
    ("resume.image", "镜像，与 transfers 所列一致；省略则为全部"),
    ("neighbours", "列出与本节点共享镜像的邻居节点、其状态，以及双方传输的字节数"),
    ("events", "显示本节点发生的事件"),
    ("events.from", "只显示从该序号起的事件；默认显示最新的事件"),
    ("events.limit", "最多显示的数量"),
    ("events.follow", "持续显示新的事件"),
    ("import", "导入由 hubctl export 写出的离线包：其中的期望状态及其全部组成"),
    ("import.file", "文件，例如 U 盘上的文件；导入结束前不得移除"),
    ("receipts", "为 hubctl import-receipts 写出回执：本节点的最新报告，以及中心尚未收到的事件"),
    ("receipts.to", "文件，例如 U 盘上的文件"),
    ("secret", "本节点上应用的机密"),
    ("secret set", "设置机密；其值从文件或标准输入读取，绝不作为参数"),
    ("secret set.app", "应用"),
    ("secret set.name", "机密名称"),
    ("secret set.file", "值所在的文件；- 表示标准输入"),
    ("secret list", "列出应用的机密名称"),
    ("secret list.app", "应用"),
    ("secret remove", "删除机密"),
    ("secret remove.app", "应用"),
    ("secret remove.name", "机密名称"),
    ("trust", "本节点信任谁"),
    ("trust show", "显示中心、CA 和密钥"),
    ("trust add", "再信任一个发布者密钥"),
    ("trust add.key", "ed25519: 加 64 位十六进制数字"),
    ("version", "显示本程序的版本"),
    ("completion", "生成 shell 补全脚本"),
    ("completion.shell", "bash、zsh、fish、elvish 或 powershell"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn keys(command: &Command, path: &str, into: &mut BTreeSet<String>) {
        assert!(command.get_about().is_some(), "{path} has no help");
        into.insert(path.into());
        for arg in command.get_arguments().filter(|arg| !arg.is_global_set() || path.is_empty()) {
            assert!(arg.get_help().is_some(), "{path}.{} has no help", arg.get_id());
            into.insert(format!("{path}.{}", arg.get_id()));
        }
        for sub in command.get_subcommands() {
            keys(sub, format!("{path} {}", sub.get_name()).trim(), into);
        }
    }

    #[test]
    fn every_word_has_help_in_both_languages() {
        let mut said = BTreeSet::new();
        keys(&Args::command(), "", &mut said);
        let known: BTreeSet<String> = CHINESE.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(said, known);
        command(Lang::Zh).debug_assert();
        command(Lang::En).debug_assert();
    }

    #[test]
    fn the_flag_decides_before_the_locale() {
        for (arguments, locale, expected) in [
            (&["edge-node", "--lang", "zh", "ps"][..], "en_US.UTF-8", Lang::Zh),
            (&["edge-node", "ps", "--lang=en"], "zh_CN.UTF-8", Lang::En),
            (&["edge-node", "ps"], "zh_CN.UTF-8", Lang::Zh),
            (&["edge-node", "ps", "--lang"], "C", Lang::En),
            (&[], "", Lang::En),
        ] {
            let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
            let variable = |name: &str| (name == "LANG").then(|| locale.to_owned());
            assert_eq!(language(&arguments, variable), expected, "{arguments:?}");
        }
    }
}
