//! Texts of the area `cli`.

super::texts! {
    DAEMON_UNREACHABLE = "cli-daemon-unreachable",
        "No edge-node answers at {path} ({cause}). Start it: systemctl start edge-node; or name its socket with --socket. Only root may use it",
        "{path} 上没有 edge-node 应答（{cause}）。请启动：systemctl start edge-node；或用 --socket 指定其套接字。只有 root 可以使用";
    DAEMON_DENIED = "cli-daemon-denied",
        "You may not use {path} ({cause}). Run the command as root: sudo edge-node …",
        "无权使用 {path}（{cause}）。请以 root 执行：sudo edge-node …";
    DAEMON_TIMEOUT = "cli-daemon-timeout",
        "The daemon at {path} did not answer within {seconds} s. See whether it is busy: journalctl -u edge-node",
        "{path} 上的守护进程在 {seconds} 秒内没有应答。请查看是否繁忙：journalctl -u edge-node";
    DAEMON_BAD_ANSWER = "cli-daemon-bad-answer",
        "The daemon at {path} answered what this program does not understand ({why}). Do both have the same version? edge-node version",
        "{path} 上的守护进程返回了本程序无法理解的内容（{why}）。两者版本是否一致？请执行 edge-node version";
    OUTPUT_FAILED = "cli-output-failed",
        "The output could not be written: {cause}",
        "无法写出结果：{cause}";
    INPUT_FAILED = "cli-input-failed",
        "{what} cannot be read: {cause}. Name a file, or - for standard input",
        "无法读取 {what}：{cause}。请指定文件，或用 - 表示标准输入";
    NO_RUNTIME = "cli-no-runtime",
        "The program could not begin its work: {cause}. The system may be out of memory or file descriptors",
        "程序无法开始工作：{cause}。系统可能缺少内存或文件描述符";
}
