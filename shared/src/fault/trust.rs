//! Texts of the area `trust`: signatures, keys, certificates, enrolment.

super::texts! {
    UNKNOWN_KEY = "trust-unknown-key",
        "Signed by no trusted key (signatures by {keys}). Publish with a registered publisher key, or trust this one on the node: edge-node trust add KEY",
        "没有受信任密钥的签名（签名者：{keys}）。请使用已登记的发布者密钥发布，或在节点上信任该密钥：edge-node trust add KEY";
    WRONG_SIGNATURE = "trust-wrong-signature",
        "The signature of key {key} does not fit the content: it was changed after signing. Publish it again",
        "密钥 {key} 的签名与内容不符：内容在签名后被改动。请重新发布";
    TOO_FEW_SIGNATURES = "trust-too-few-signatures",
        "{got} of the needed {need} keys signed. Add the missing signatures",
        "需要 {need} 个密钥签名，目前只有 {got} 个。请补齐签名";
    OTHER_NODE = "trust-other-node",
        "The desired state is meant for node {node}. Two machines may share one identity: join this one again under its own name",
        "该期望状态属于节点 {node}。可能有两台机器共用同一身份：请让本机以自己的名称重新加入";
    ROLLBACK = "trust-rollback",
        "State {offered} is older than {held}, which this node already accepted. To go back, deploy the older release again: it gets a new, higher generation",
        "状态 {offered} 早于本节点已接受的 {held}。如需回退，请重新部署旧版本：它会得到新的、更高的代次";
    EQUIVOCATION = "trust-equivocation",
        "Two different states carry the same stamp {stamp}. The hub may have been restored or copied: check it, then raise its epoch",
        "两个不同的状态带有相同的戳 {stamp}。中心可能被恢复或复制过：请检查后提升其纪元";
    TOO_FAR = "trust-too-far",
        "State {offered} is too far ahead of {held} to be an honest next step. Check the hub; a new epoch resets the count",
        "状态 {offered} 远超 {held}，不像正常的下一步。请检查中心；新的纪元会重置计数";
    NOT_OUR_HUB = "trust-not-our-hub",
        "The desired state is not signed by this node's hub: {cause}. If the hub was replaced, join the node again",
        "期望状态不是由本节点所属的中心签名：{cause}。如果中心已更换，请让节点重新加入";
    UNREADABLE_STATE = "trust-unreadable-state",
        "The desired state cannot be read: {cause}. Hub and node may be of different versions: update the node",
        "无法读取期望状态：{cause}。中心与节点版本可能不同：请升级节点";
    RELEASE_REFUSED = "trust-release-refused",
        "Release {release} of app {app} is refused, so the whole state is: {cause}",
        "应用 {app} 的版本 {release} 被拒绝，因此整个状态不予接受：{cause}";
    UNREADABLE_RELEASE = "trust-unreadable-release",
        "The release cannot be read: {cause}. It may be made for a newer node: update the node, or publish it again",
        "无法读取该版本：{cause}。它可能面向更新的节点：请升级节点或重新发布";
    OTHER_RELEASE = "trust-other-release",
        "The bytes that came are those of another release ({got}). Check the hub's storage",
        "收到的是另一个版本（{got}）的内容。请检查中心的存储";
    STATE_INTERRUPTED = "trust-state-interrupted",
        "The link to the hub went down while a release was on its way. The hub offers it again by itself",
        "版本传输途中与中心的连接中断。中心会自动重新下发";
}
