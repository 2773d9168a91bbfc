//! Texts of the area `node`: what the daemon of an edge machine meets.

super::texts! {
    RUNTIME_UNREACHABLE = "node-runtime-unreachable",
        "containerd does not answer ({cause}). Running apps go on; the node tries again by itself. Check: systemctl status containerd",
        "containerd 没有应答（{cause}）。正在运行的应用不受影响，节点会自动重试。请检查：systemctl status containerd";
    RUNTIME_FAILED = "node-runtime-failed",
        "{doing} failed: {cause}. The node tries again by itself",
        "{doing} 失败：{cause}。节点会自动重试";
}
