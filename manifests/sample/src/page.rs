//! What the web service shows: a page in two languages, JSON, metrics.

/// What there is to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) version: &'a str,
    /// Visits of this process.
    pub(crate) visits: u64,
    /// The counter's number, if it answered.
    pub(crate) count: Option<u64>,
}

/// The page.
pub(crate) fn html(view: &View<'_>) -> String {
    let count = view.count.map_or_else(|| "no answer · 无应答".into(), |count| count.to_string());
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Causeway sample {version}</title><style>\
         body{{font:18px/1.6 system-ui,sans-serif;max-width:36em;margin:12vh auto;padding:0 1em;color:#123}}\
         b{{font-size:1.6em}}td{{padding:.2em 1.5em .2em 0}}small{{color:#678}}</style></head><body>\
         <h1>Running at the edge · 运行在边缘</h1><table>\
         <tr><td>Version · 版本</td><td><b id=\"version\">{version}</b></td></tr>\
         <tr><td>Visits since start · 启动以来的访问</td><td><b id=\"visits\">{visits}</b></td></tr>\
         <tr><td>Counter on the volume · 卷上的计数</td><td><b id=\"count\">{count}</b></td></tr></table>\
         <p><small>The counter is another service of this app. It survives restarts, updates and the loss of the hub.<br>\
         计数器是本应用的另一个服务。重启、升级或与中心断连都不会丢失计数。</small></p></body></html>\n",
        version = escape(view.version),
        visits = view.visits,
    )
}

/// The same for programs.
pub(crate) fn json(view: &View<'_>) -> String {
    let count = view.count.map_or_else(|| "null".into(), |count| count.to_string());
    format!("{{\"version\":\"{}\",\"visits\":{},\"count\":{count}}}\n", escape(view.version), view.visits)
}

/// The same for Prometheus (text format 0.0.4).
pub(crate) fn metrics(view: &View<'_>) -> String {
    let mut text = format!(
        "# TYPE sample_info gauge\nsample_info{{version=\"{}\"}} 1\n# TYPE sample_visits_total counter\nsample_visits_total {}\n",
        escape(view.version),
        view.visits
    );
    if let Some(count) = view.count {
        text.push_str(&format!("# TYPE sample_count gauge\nsample_count {count}\n"));
    }
    text
}

/// A version as it can stand in HTML, JSON and a label: only what a version may hold, at most 64 characters.
fn escape(version: &str) -> String {
    version.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-')).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_shows_version_visits_and_count() {
        let view = View { version: "1.0<script>\"", visits: 3, count: Some(17) };
        let page = html(&view);
        assert!(page.contains("<b id=\"version\">1.0script</b>") && page.contains("<b id=\"count\">17</b>"), "{page}");
        assert_eq!(json(&view), "{\"version\":\"1.0script\",\"visits\":3,\"count\":17}\n");
        assert!(metrics(&view).ends_with("sample_visits_total 3\n# TYPE sample_count gauge\nsample_count 17\n"));
        assert!(html(&View { count: None, ..view }).contains("无应答"));
    }
}
