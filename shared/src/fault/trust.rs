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
    TOKEN_NOT_ONE = "trust-token-not-one",
        "This is not a join token: it must begin with cwj1. Copy the whole line that this printed at the hub: hubctl token create NODE",
        "这不是接入令牌：应以 cwj1. 开头。请完整复制在中心执行 hubctl token create NODE 时打印的那一行";
    TOKEN_DAMAGED = "trust-token-damaged",
        "The join token is damaged ({why}). Copy the whole line again, or make a new one at the hub: hubctl token create NODE",
        "接入令牌已损坏（{why}）。请重新完整复制，或在中心新建一个：hubctl token create NODE";
    CA_FILE_FAILED = "trust-ca-file-failed",
        "{doing} {path} failed: {cause}. The hub's CA must be readable and writable by the hub alone; check the disk and the owner of the file",
        "{doing} {path} 失败：{cause}。中心的 CA 必须只能由中心读写；请检查磁盘和文件属主";
    CA_FILE_EXPOSED = "trust-ca-file-exposed",
        "{path} holds a private key and others may read it (mode {mode}). If nobody did: chmod {want} {path}",
        "{path} 含有私钥，但其他用户可以读取（权限 {mode}）。确认无人读取后执行：chmod {want} {path}";
    CA_FILE_DAMAGED = "trust-ca-file-damaged",
        "{path} is damaged ({why}). Restore it from a backup of the hub; without it no node can be recognised",
        "{path} 已损坏（{why}）。请从中心的备份恢复；没有它就无法识别任何节点";
    CA_ROOT_MISSING = "trust-ca-root-missing",
        "{path} is missing although the hub had a CA before. Restore it from a backup; to begin again with all nodes enrolled anew, remove its directory",
        "{path} 不存在，但中心曾有过 CA。请从备份恢复；若要重新开始并让所有节点重新接入，请删除它所在的目录";
    CERTIFICATE_FAILED = "trust-certificate-failed",
        "Making a certificate for {subject} failed: {cause}",
        "为 {subject} 签发证书失败：{cause}";
    CSR_REFUSED = "trust-csr-refused",
        "The certificate request is not accepted: {why}. Send a PKCS#10 request in DER with a P-256 or Ed25519 key, signed by that key",
        "证书请求未被接受：{why}。请发送 DER 编码的 PKCS#10 请求，使用 P-256 或 Ed25519 密钥并由该密钥签名";
    IDENTITY_NONE = "trust-identity-none",
        "The certificate names no node and no client of this hub ({why}). Use the one the hub issued, or enrol again: edge-node join TOKEN",
        "证书没有指明本中心的任何节点或客户端（{why}）。请使用中心签发的证书，或重新接入：edge-node join TOKEN";
}
