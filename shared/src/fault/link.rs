//! Texts of the area `link`.

super::texts! {
    NODE_GONE = "link-node-gone",
        "The node is not connected. It gets the newest state by itself when it is back",
        "节点未连接。节点恢复连接后会自动获取最新状态";
    NODE_FULL = "link-node-full",
        "The node is connected but does not take what is sent to it; its line may be slow. It gets the newest state by itself later",
        "节点已连接，但没有接收发送的内容，线路可能较慢。稍后会自动获取最新状态";
    MESSAGE_TOO_LONG = "link-message-too-long",
        "A message for a node may have at most {max} bytes. Assign fewer apps to the node, or split the configuration",
        "发给节点的消息最多 {max} 字节。请减少分配给该节点的应用，或拆分配置";
}
