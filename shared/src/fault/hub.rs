//! Texts of the area `hub`.

super::texts! {
    GATE_LISTEN_FAILED = "hub-gate-listen-failed",
        "Listening for nodes on {address} failed: {cause}. Free the address, or set another one as gate.listen in /etc/causeway/hub.toml",
        "在 {address} 上监听节点失败：{cause}。请释放该地址，或在 /etc/causeway/hub.toml 的 gate.listen 中设置其他地址";
    GATE_TLS_FAILED = "hub-gate-tls-failed",
        "The TLS settings for nodes cannot be used: {cause}. Check the certificates in the hub's ca directory",
        "无法使用面向节点的 TLS 设置：{cause}。请检查中心 ca 目录中的证书";
    BROKER_DOWN = "hub-broker-down",
        "The router for other MQTT clients of the center is being rebuilt ({cause}). Nodes are not affected; the client may connect again",
        "面向中心其他 MQTT 客户端的路由正在重建（{cause}）。节点不受影响，客户端可重新连接";
}
