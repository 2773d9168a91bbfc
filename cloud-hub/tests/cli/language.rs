//! Two languages, and scripts for shells.

use crate::shell::Shell;

#[tokio::test]
async fn the_readers_language_is_spoken() {
    let chinese = Shell::new().with("LANG", "zh_CN.UTF-8");
    let text = chinese.run(&["--help"]).await.ok();
    assert!(text.starts_with("操作 Causeway 中心") && text.contains("退出码："), "{text}");
    let missing = chinese.run(&["get", "nodes"]).await.failed(2, "cli-no-context");
    assert!(missing.err.starts_with("错误：尚未选择中心"), "{missing:?}");
    let english = chinese.run(&["get", "nodes", "--lang", "en"]).await.failed(2, "cli-no-context");
    assert!(english.err.starts_with("error: No hub is chosen"), "{english:?}");
    let usage = chinese.run(&["get"]).await.failed(2, "cli-missing-argument");
    assert!(usage.err.contains("缺少") && usage.out.is_empty(), "{usage:?}");
}

#[tokio::test]
async fn completions_know_the_commands() {
    let shell = Shell::new();
    for (name, mark) in [("bash", "_hubctl()"), ("zsh", "#compdef hubctl"), ("fish", "complete -c hubctl")] {
        let script = shell.run(&["completion", name]).await.ok();
        assert!(script.contains(mark) && script.contains("rollback"), "{name}");
    }
    shell.run(&["completion", "tcsh"]).await.failed(2, "cli-bad-choice");
}
