use std::collections::BTreeSet;

use expect_test::expect;

use super::*;

fn args(line: &str) -> Vec<String> {
    std::iter::once("hubctl").chain(line.split_whitespace()).map(str::to_owned).collect()
}

/// Every command and argument, by its key in the table.
fn keys(command: &Command, path: &str, keys: &mut BTreeSet<String>) {
    keys.insert(path.to_owned());
    let everywhere = ["help", "version", "context", "server", "lang", "quiet"];
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let at = if everywhere.contains(&id) { "" } else { path };
        keys.insert(format!("{at}.{id}"));
    }
    for sub in command.get_subcommands() {
        let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
        self::keys(sub, &path, keys);
    }
}

#[test]
fn the_command_line_is_sound() {
    for lang in [Lang::En, Lang::Zh] {
        command(lang).debug_assert();
    }
}

#[test]
fn everything_has_a_chinese_text_and_nothing_else_has() {
    let mut wanted = BTreeSet::new();
    keys(&command(Lang::En), "", &mut wanted);
    let table: BTreeSet<String> = ZH.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(table.len(), ZH.len(), "a key stands twice");
    assert_eq!(wanted.difference(&table).collect::<Vec<_>>(), Vec::<&String>::new(), "without a Chinese text");
    assert_eq!(table.difference(&wanted).collect::<Vec<_>>(), Vec::<&String>::new(), "a text for nothing");
    for (key, text) in ZH {
        assert!(text.chars().any(|c| c > '\u{2E80}') && !text.ends_with('。'), "{key}: {text}");
    }
}

#[test]
fn everything_has_an_english_text() {
    fn check(command: &Command) {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for arg in command.get_arguments() {
            assert!(arg.get_help().is_some(), "{} {}", command.get_name(), arg.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&command(Lang::En));
}

fn text(line: &str, lang: Lang) -> String {
    match read(&args(line), lang) {
        Read::Text(text) => text,
        other @ (Read::Command(_) | Read::Wrong(_)) => panic!("{line}: {other:?}"),
    }
}

#[test]
fn the_top_level_help_in_both_languages() {
    expect![[r#"
        Operate a Causeway hub: publish apps, deploy them to nodes, see what runs where

        Usage: hubctl [OPTIONS] <COMMAND>

        Commands:
          login            Get to know a hub, and store its address, its CA fingerprint and an API token
          context          List, choose or remove the hubs that are known
          keygen           Make a publisher key; the same as key generate
          key              Make or show the publisher key that signs releases
          publisher        Register or remove keys that may sign releases
          publish          Publish a release: read the manifest, bring the images to the hub, sign, send
          unpublish        Take a release back that nothing needs any more; the hub frees what only it needed
          image            Compare the images of releases
          get              Show objects of one kind: apps, releases, nodes, deployments, budgets, events, publishers, tokens, api-tokens
          describe         Show one object with everything that matters to it
          deploy           Deploy a release to nodes
          prefetch         Bring a release to the disks of nodes, so that deploying it later switches at once; what runs there stays
          rollback         Deploy an earlier release of a deployment again
          undeploy         Remove a deployment; its nodes stop the app and keep its volumes
          token            Make or remove a token with which one node can join
          api-token        Make or remove tokens for the API
          budget           Set or remove budgets: how fast, how much and when images may come to nodes
          node             Label, revoke or delete nodes
          logs             Show what an app prints on a node
          export           Write a bundle: what nodes shall run and all it is made of, to carry to them on a stick
          answer-join      Take in a node that no link reaches: answer the request that edge-node join --request wrote
          import-receipts  Bring receipts, written by nodes with edge-node receipts, to the hub
          wait             Wait until a deployment or a node is as it should be
          version          Show the versions of hubctl and of the hub
          completion       Print a completion script for a shell

        Options:
              --context <NAME>  The context to use for this command (also CAUSEWAY_CONTEXT)
              --server <URL>    The hub's address, if not that of the context (also CAUSEWAY_SERVER)
              --lang <LANG>     Language: zh or en; else LC_ALL, LC_MESSAGES or LANG decides
          -q, --quiet           Results and errors only: no progress, no notices
          -V, --version         Show the version of hubctl
          -h, --help            Show help

        Exit codes: 0 ok, 1 error, 2 usage, 3 not found, 4 denied, 5 conflict, 6 timeout, 7 hub unreachable
    "#]]
    .assert_eq(&text("--help", Lang::En));
    expect![[r#"
        操作 Causeway 中心：发布应用、部署到节点、查看各处运行情况

        用法：hubctl [选项] <命令>

        命令:
          login            登录中心，保存其地址、CA 指纹和 API 令牌
          context          列出、选择或删除已知的中心
          keygen           生成发布者密钥；与 key generate 相同
          key              生成或显示用来签署发布包的发布者密钥
          publisher        登记或移除可以签署发布包的密钥
          publish          发布：读取清单，把镜像送到中心，签名，提交
          unpublish        撤回不再需要的发布包；中心释放只有它需要的空间
          image            比较发布包的镜像
          get              列出某类对象：apps、releases、nodes、deployments、budgets、events、publishers、tokens、api-tokens
          describe         显示一个对象的全部要点
          deploy           把发布包部署到节点
          prefetch         把发布包提前传到节点的磁盘，之后部署时可立即切换；正在运行的应用不受影响
          rollback         重新部署某个部署的较早发布包
          undeploy         删除部署；节点停止该应用并保留其卷
          token            生成或作废供一个节点接入的令牌
          api-token        生成或删除 API 令牌
          budget           设置或删除链路预算：镜像传到节点的速率、流量和时段
          node             给节点打标签、吊销或删除节点
          logs             显示应用在节点上的输出
          export           写出离线包：节点应运行的内容及其全部组成，用 U 盘带到现场
          answer-join      接入网络无法到达的节点：应答由 edge-node join --request 写出的请求
          import-receipts  把节点用 edge-node receipts 写出的回执带回中心
          wait             等待部署或节点达到应有的状态
          version          显示 hubctl 和中心的版本
          completion       输出某种 shell 的补全脚本

        选项:
              --context <NAME>  本次命令使用的上下文（也可用 CAUSEWAY_CONTEXT）
              --server <URL>    中心的地址，覆盖上下文中的地址（也可用 CAUSEWAY_SERVER）
              --lang <LANG>     语言：zh 或 en；否则由 LC_ALL、LC_MESSAGES 或 LANG 决定
          -q, --quiet           只输出结果和错误：不显示进度和提示
          -V, --version         显示 hubctl 的版本
          -h, --help            显示帮助

        退出码：0 完成，1 失败，2 命令行有误，3 不存在，4 被拒绝，5 冲突，6 超时，7 无法连接
    "#]]
    .assert_eq(&text("-h", Lang::Zh));
    expect![[r#"
        设置标签（键=值）或移除标签（键-）

        用法：hubctl node label [选项] <NODE> <LABEL>...

        参数:
          <NODE>      节点
          <LABEL>...  键=值 或 键-

        选项:
              --context <NAME>  本次命令使用的上下文（也可用 CAUSEWAY_CONTEXT）
              --server <URL>    中心的地址，覆盖上下文中的地址（也可用 CAUSEWAY_SERVER）
              --lang <LANG>     语言：zh 或 en；否则由 LC_ALL、LC_MESSAGES 或 LANG 决定
          -q, --quiet           只输出结果和错误：不显示进度和提示
          -h, --help            显示帮助
    "#]]
    .assert_eq(&text("node label --help", Lang::Zh));
}

#[test]
fn mistakes_are_named_with_the_way_out() {
    for (line, en, zh) in [
        ("gett", "gett is not known here; nearest: get. All of them: hubctl --help", "gett"),
        ("get nodes --wach", "--wach is not known here; nearest: --watch. All of them: hubctl get --help", "--watch"),
        ("frobnicate", "frobnicate is not known here. What is: hubctl --help", "不认识"),
        ("get", "<KIND> is missing. See: hubctl get --help", "缺少"),
        ("", "A command is missing. All of them: hubctl --help", "缺少命令"),
        ("node", "A command is missing. All of them: hubctl node --help", "缺少命令"),
        ("get nodes -o xml", "xml does not fit --output <FORM>. Possible are: table, wide, json, yaml, name", "可选值"),
        ("get nodes -o", "--output <FORM> needs a value. See: hubctl get --help", "需要一个值"),
        ("logs n1 web --tail x", "x does not fit --tail <N>: invalid digit found in string. See: hubctl logs --help", "不适用于"),
        ("deploy a@1 --all-nodes -l a=b", "--all-nodes does not go together with --selector <SELECTOR>. Leave one out", "不能与"),
        ("undeploy a b", "b is not known here. What is: hubctl undeploy --help", "不认识"),
    ] {
        let wrong = |lang| match read(&args(line), lang) {
            Read::Wrong(fault) => fault.text(lang),
            other @ (Read::Command(_) | Read::Text(_)) => panic!("{line}: {other:?}"),
        };
        assert_eq!(wrong(Lang::En), en, "{line}");
        assert!(wrong(Lang::Zh).contains(zh), "{line}: {}", wrong(Lang::Zh));
    }
}

#[test]
fn the_version_is_a_text() {
    assert_eq!(text("--version", Lang::Zh), format!("hubctl {}\n", env!("CARGO_PKG_VERSION")));
}
