//! Texts of the area `link`.

super::texts! {
    LOST = "link-lost",
        "The connection to {hub} was lost ({cause}). Apps go on; the node connects again by itself",
        "与 {hub} 的连接已断开（{cause}）。应用不受影响，节点会自动重连";
    UNREACHABLE = "link-unreachable",
        "{hub} cannot be reached ({cause}). Apps go on; the node tries again by itself. Check the network and the hub",
        "无法连接 {hub}（{cause}）。应用不受影响，节点会自动重试。请检查网络和中心";
    REFUSED = "link-refused",
        "{hub} refuses this node ({cause}). Apps go on. Was it revoked there? Then join anew: edge-node join TOKEN --again",
        "{hub} 拒绝本节点（{cause}）。应用不受影响。如果节点已被吊销，请重新接入：edge-node join TOKEN --again";
    UNTRUSTED = "link-untrusted",
        "Whoever answers at {hub} does not prove to be the hub ({cause}). Apps go on. Check the address and who is in between",
        "在 {hub} 应答的一方无法证明自己是中心（{cause}）。应用不受影响。请检查地址以及中间设备";
    SILENT = "link-silent",
        "{hub} was silent for {seconds} s. Apps go on; the node connects again by itself",
        "{hub} 已 {seconds} 秒没有任何消息。应用不受影响，节点会自动重连";
    STALLED = "link-stalled",
        "The node did not take in what {hub} sent for {seconds} s, so the connection was begun anew. If it stays so, the disk may be too slow",
        "节点在 {seconds} 秒内未能处理 {hub} 发来的内容，已重新建立连接。如果持续如此，可能是磁盘过慢";
}
