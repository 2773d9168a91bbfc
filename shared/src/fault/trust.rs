//! Texts of the area `trust`: signatures, keys, certificates, joining.

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
        "该期望状态属于节点 {node}。可能有两台机器共用同一身份：请让本机以自己的名称重新接入";
    ROLLBACK = "trust-rollback",
        "State {offered} is older than {held}, which this node already accepted. To go back, deploy the older release again: it gets a new, higher generation",
        "状态 {offered} 早于本节点已接受的 {held}。若要回到较早的发布包，请重新部署它：它会得到新的、更高的代次";
    EQUIVOCATION = "trust-equivocation",
        "Two different states carry the same stamp {stamp}. The hub may have been restored or copied: check it, then stop it, run cloud-hub new-epoch, and start it again",
        "两个不同的状态带有相同的戳 {stamp}。中心可能被恢复或复制过：请检查并停止中心，执行 cloud-hub new-epoch，然后重新启动";
    TOO_FAR = "trust-too-far",
        "State {offered} is too far ahead of {held} to be an honest next step. Check the hub; a new epoch (cloud-hub new-epoch) resets the count",
        "状态 {offered} 远超 {held}，不像正常的下一步。请检查中心；新的纪元（cloud-hub new-epoch）会重置计数";
    NOT_OUR_HUB = "trust-not-our-hub",
        "The desired state is not signed by this node's hub: {cause}. If the hub was replaced, join the node again",
        "期望状态不是由本节点所属的中心签名：{cause}。如果中心已更换，请让节点重新接入";
    UNREADABLE_STATE = "trust-unreadable-state",
        "The desired state cannot be read: {cause}. Hub and node may be of different versions: update the node",
        "无法读取期望状态：{cause}。中心与节点版本可能不同：请升级节点";
    RELEASE_REFUSED = "trust-release-refused",
        "Release {release} of app {app} is refused, so the whole state is: {cause}",
        "发布包 {release}（应用 {app}）被拒绝，因此整个状态不予接受：{cause}";
    UNREADABLE_RELEASE = "trust-unreadable-release",
        "The release cannot be read: {cause}. It may be made for a newer node: update the node, or publish it again",
        "无法读取该发布包：{cause}。它可能面向更新的节点：请升级节点或重新发布";
    OTHER_RELEASE = "trust-other-release",
        "The bytes that came are those of another release ({got}). Check the hub's storage",
        "收到的是另一个发布包（{got}）的内容。请检查中心的存储";
    STATE_INTERRUPTED = "trust-state-interrupted",
        "The link to the hub went down while a release was on its way. The hub offers it again by itself",
        "发布包传输途中与中心的连接中断。中心会自动重新下发";
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
        "{path} is damaged ({why}). Put it back from the last copy of the hub's state directory; without it no node can be recognised",
        "{path} 已损坏（{why}）。请从中心状态目录最近的副本中恢复；没有它就无法识别任何节点";
    CA_ROOT_MISSING = "trust-ca-root-missing",
        "{path} is missing although the hub had a CA before. Put it back from the last copy of the hub's state directory; to begin again, remove the ca directory and join all nodes anew",
        "{path} 不存在，但中心曾有过 CA。请从中心状态目录最近的副本中恢复；若要重新开始，请删除它所在的 ca 目录，并让所有节点重新接入";
    CERTIFICATE_FAILED = "trust-certificate-failed",
        "Making a certificate for {subject} failed: {cause}. Check hosts in the hub's configuration, and the ca directory in its state directory",
        "为 {subject} 签发证书失败：{cause}。请检查中心配置中的 hosts，以及其状态目录中的 ca 目录";
    CSR_REFUSED = "trust-csr-refused",
        "The certificate request is not accepted: {why}. Send a PKCS#10 request in DER with a P-256 or Ed25519 key, signed by that key",
        "证书请求未被接受：{why}。请发送 DER 编码的 PKCS#10 请求，使用 P-256 或 Ed25519 密钥并由该密钥签名";
    IDENTITY_NONE = "trust-identity-none",
        "The certificate names no node and no client of this hub ({why}). Use the one the hub issued, or join again: edge-node join TOKEN",
        "证书没有指明本中心的任何节点或客户端（{why}）。请使用中心签发的证书，或重新接入：edge-node join TOKEN";
    NOT_JOINED = "trust-not-joined",
        "This node belongs to no hub ({path} is not there). Make a token at the hub (hubctl token create NODE), then here: edge-node join TOKEN",
        "本节点尚未接入任何中心（{path} 不存在）。请在中心新建令牌（hubctl token create NODE），然后在本机执行：edge-node join TOKEN";
    ALREADY_JOINED = "trust-already-joined",
        "This node already is {node} of {hub}. To join anew and give that up: edge-node join TOKEN --again",
        "本节点已经以 {node} 的身份接入 {hub}。若要放弃该身份重新接入：edge-node join TOKEN --again";
    NODE_IDENTITY_DAMAGED = "trust-node-identity-damaged",
        "{path} is damaged ({why}). Apps go on; to reach the hub again, join anew: edge-node join TOKEN --again",
        "{path} 已损坏（{why}）。应用不受影响；若要重新连接中心，请重新接入：edge-node join TOKEN --again";
    JOIN_UNREACHABLE = "trust-join-unreachable",
        "{hub} does not answer ({cause}). Check the network and the hub's address, then run the same command again: the token is still good",
        "{hub} 没有应答（{cause}）。请检查网络和中心地址，然后再次执行同一命令：令牌仍然有效";
    JOIN_TIMEOUT = "trust-join-timeout",
        "{hub} did not answer within {seconds} s ({doing}). Run the same command again: it asks for the same, and the hub answers the same until the token expires",
        "{hub} 在 {seconds} 秒内没有应答（{doing}）。请再次执行同一命令：请求相同，在令牌过期之前中心会给出相同的应答";
    JOIN_LOST = "trust-join-lost",
        "{hub} was lost before its answer was here ({cause}). Run the same command again: it asks for the same, and the hub answers the same until the token expires",
        "{hub} 的应答尚未收完，连接就断开了（{cause}）。请再次执行同一命令：请求相同，在令牌过期之前中心会给出相同的应答";
    JOIN_IMPOSTOR = "trust-join-impostor",
        "Whoever answers at {hub} is not the hub that made the token ({cause}). Nothing was sent. Check the address and who is in between; if the hub's CA was replaced, make a new token",
        "在 {hub} 应答的并不是签发该令牌的中心（{cause}）。没有发送任何内容。请检查地址以及中间设备；如果中心更换过 CA，请新建令牌";
    JOIN_REFUSED = "trust-join-refused",
        "The hub does not take {node} in with this token ({status}). Make a new one there: hubctl token create {node}. It says: {cause}",
        "中心不接受 {node} 用此令牌接入（{status}）。请在中心新建令牌：hubctl token create {node}。中心的答复：{cause}";
    JOIN_NOT_NOW = "trust-join-not-now",
        "The hub did not take {node} in ({status}), and not because of the token. See to the cause, then run the same command again. It says: {cause}",
        "中心未能接入 {node}（{status}）。原因不在令牌：请先处理该原因，再次执行同一命令。中心的答复：{cause}";
    JOINED = "trust-joined",
        "This node is now {node} of {hub}. Start it: systemctl enable --now edge-node (or: edge-node run)",
        "本节点已以 {node} 的身份接入 {hub}。启动：systemctl enable --now edge-node（或：edge-node run）";
    JOINED_RESTART = "trust-joined-restart",
        "This node is now {node} of {hub}. The daemon runs with what it was before; restart it: systemctl restart edge-node. Containers run on",
        "本节点已以 {node} 的身份接入 {hub}。守护进程仍以原来的身份运行，请重启：systemctl restart edge-node。容器继续运行";
    JOIN_BAD_ANSWER = "trust-join-bad-answer",
        "{hub} answered what a hub does not answer ({why}). Nothing was changed here. Check that the address is the hub's and that its version fits",
        "{hub} 的应答不是中心应有的内容（{why}）。本机没有任何改动。请检查地址是否为中心地址以及版本是否匹配";
    JOIN_NO_KEY = "trust-join-no-key",
        "No key could be made for this node: {cause}. Check that the system has a random generator (/dev/urandom)",
        "无法为本节点生成密钥：{cause}。请检查系统的随机数生成器（/dev/urandom）";
    JOIN_NOT_ASKED = "trust-join-not-asked",
        "This node waits for no answer. Ask first: edge-node join TOKEN --request FILE",
        "本节点没有等待应答。请先提出请求：edge-node join TOKEN --request FILE";
    JOIN_OTHER_ANSWER = "trust-join-other-answer",
        "This answer does not belong to what {node} asked last, or was changed on its way ({why}). Nothing was changed here. Carry the newest request to the hub, or ask anew: edge-node join TOKEN --request FILE",
        "该应答不属于 {node} 最近一次的请求，或在途中被改动（{why}）。本机没有任何改动。请把最新的请求带到中心，或重新请求：edge-node join TOKEN --request FILE";
    NOT_A_JOIN_REQUEST = "trust-not-a-join-request",
        "This file is not a request to join. Make one on the node: edge-node join TOKEN --request FILE",
        "该文件不是接入请求。请在节点上生成：edge-node join TOKEN --request FILE";
    NOT_A_JOIN_ANSWER = "trust-not-a-join-answer",
        "This file is not an answer to a node that joins. Make one at the hub: hubctl answer-join REQUEST --to FILE",
        "该文件不是对接入请求的应答。请在中心生成：hubctl answer-join REQUEST --to FILE";
    JOIN_FILE_DAMAGED = "trust-join-file-damaged",
        "The file cannot be read ({cause}): it is damaged or of another version. Nothing was changed. Make it anew, and copy it whole",
        "无法读取该文件（{cause}）：文件已损坏或版本不同。没有任何改动。请重新生成并完整复制";
    JOIN_REQUESTED = "trust-join-requested",
        "{path} asks the hub to take {node} in. At the hub: hubctl answer-join {path} --to ANSWER. Then here: edge-node join --answer ANSWER",
        "{path} 请求中心接入 {node}。在中心执行：hubctl answer-join {path} --to ANSWER；然后在本机执行：edge-node join --answer ANSWER";
    JOIN_ANSWERED = "trust-join-answered",
        "{node} may join; its token is used. Carry the answer there: edge-node join --answer {path}",
        "{node} 可以接入，其令牌已用掉。请把应答带到该节点并执行：edge-node join --answer {path}";
    TLS_UNUSABLE = "trust-tls-unusable",
        "The node's certificate and key cannot be used: {cause}. Join anew: edge-node join TOKEN --again",
        "节点的证书和密钥无法使用：{cause}。请重新接入：edge-node join TOKEN --again";
    KEYS_TOO_MANY = "trust-keys-too-many",
        "A node trusts at most {max} publisher keys. Join anew to begin with those of the hub: edge-node join TOKEN --again",
        "节点最多信任 {max} 个发布者密钥。可重新接入，从中心的密钥重新开始：edge-node join TOKEN --again";
}
