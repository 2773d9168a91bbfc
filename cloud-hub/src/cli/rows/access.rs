//! Publishers and tokens as rows.

use shared::time::UnixMillis;

use super::super::table::{Column, col, wide};
use super::super::words::word_of;
use super::{View, labels};
use crate::api::types::{ApiToken, PendingToken, Publisher};

pub(super) static PUBLISHERS: [Column; 4] =
    [col("NAME", "名称"), col("KEY-ID", "密钥编号"), col("AGE", "存在时间"), wide("KEY", "公钥")];

pub(super) fn publisher(publisher: &Publisher, view: View) -> Vec<String> {
    vec![
        publisher.metadata.name.clone(),
        publisher.spec.key_id.short(),
        view.since(publisher.metadata.created),
        publisher.spec.key.to_string(),
    ]
}

pub(super) static TOKENS: [Column; 4] =
    [col("NODE", "节点"), col("EXPIRES-IN", "剩余有效期"), col("BY", "创建者"), col("LABELS", "标签")];

pub(super) fn token(token: &PendingToken, view: View) -> Vec<String> {
    vec![token.node.to_string(), left(token.expires, view), token.by.clone(), labels(&token.labels)]
}

pub(super) static API_TOKENS: [Column; 4] =
    [col("NAME", "名称"), col("ROLE", "角色"), col("EXPIRES-IN", "剩余有效期"), col("AGE", "存在时间")];

pub(super) fn api_token(token: &ApiToken, view: View) -> Vec<String> {
    vec![
        token.metadata.name.clone(),
        word_of(view.lang, token.spec.role),
        token.spec.expires.map(|expires| left(expires, view)).unwrap_or_default(),
        view.since(token.metadata.created),
    ]
}

/// How long until `end`.
fn left(end: UnixMillis, view: View) -> String {
    view.age(end.0.saturating_sub(view.now.0) / 1000)
}
