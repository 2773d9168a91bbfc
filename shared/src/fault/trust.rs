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
}
