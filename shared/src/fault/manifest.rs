//! Texts of the area `manifest`. `{place}` is `file:line:column`.

super::texts! {
    UNKNOWN_KEY = "manifest-unknown-key",
        "{place}: {key} is not supported. Nearest supported key: {near}",
        "{place}：不支持 {key}。最接近的受支持字段：{near}";
}
