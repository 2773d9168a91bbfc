//! Events as rows.

use super::super::table::{Column, col, wide};
use super::View;
use crate::api::types::Event;

pub(super) static COLUMNS: [Column; 8] = [
    col("AGE", "时间"),
    col("NODE", "节点"),
    col("APP", "应用"),
    col("BY", "操作者"),
    wide("CURSOR", "序号"),
    wide("JOURNAL", "记录号"),
    wide("CODE", "代码"),
    col("MESSAGE", "内容"),
];

pub(super) fn cells(event: &Event, view: View) -> Vec<String> {
    let name = |name: Option<&shared::id::Name>| name.map(ToString::to_string).unwrap_or_default();
    let text = event.what.text(view.lang);
    vec![
        view.since(event.at),
        name(event.node.as_ref()),
        name(event.app.as_ref()),
        event.by.clone().unwrap_or_default(),
        event.cursor.to_string(),
        event.number.map(|number| number.to_string()).unwrap_or_default(),
        event.what.code.clone(),
        if text.is_empty() { event.what.code.clone() } else { text.to_owned() },
    ]
}
