//! Texts of the area `hub`.

super::texts! {
    STORE_CONFLICT = "hub-store-conflict",
        "{key} was changed by somebody else meanwhile. Look at it again and repeat the change",
        "{key} 已被其他人修改。请重新查看后再次提交修改";
    STORE_COMPACTED = "hub-store-compacted",
        "Changes before revision {oldest} are forgotten. List anew and watch from there",
        "修订 {oldest} 之前的变更记录已不保留。请重新列出，并从新的修订开始监听";
    STORE_TOO_LARGE = "hub-store-too-large",
        "{what} is too large: {size}, allowed are {max}. Make it smaller or split it",
        "{what} 过大：{size}，上限为 {max}。请缩小或拆分";
    STORE_FULL = "hub-store-full",
        "The hub's disk is full; nothing was changed. Free some space in its state directory and repeat",
        "中心的磁盘已满，未做任何修改。请在其状态目录所在磁盘上释放空间后重试";
    STORE_DAMAGED = "hub-store-damaged",
        "The hub's store is damaged ({what}); it takes no more changes. Stop the hub, restore the last backup and start it again",
        "中心的存储已损坏（{what}），不再接受修改。请停止中心，恢复最近的备份后重新启动";
    STORE_FAILED = "hub-store-failed",
        "The hub's store failed while {doing}: {cause}. Check the disk of its state directory",
        "中心的存储在 {doing} 时失败：{cause}。请检查其状态目录所在的磁盘";
    STORE_CLOSED = "hub-store-closed",
        "The hub is shutting down. Repeat when it is up again",
        "中心正在关闭。请在其重新启动后重试";
    BLOB_MISSING = "hub-blob-missing",
        "The hub has no content {digest}. Publish the release again, with its images",
        "中心没有内容 {digest}。请连同镜像重新发布该版本";
    BLOB_TOO_LARGE = "hub-blob-too-large",
        "Content {digest} has {size} bytes, allowed are {max}. Make the layer smaller, or raise images.max_blob in the hub's configuration",
        "内容 {digest} 有 {size} 字节，上限为 {max}。请缩小该层，或在中心配置中调大 images.max_blob";
    BLOB_WRONG_DIGEST = "hub-blob-wrong-digest",
        "The bytes sent for {expected} are other ones ({found}) and were thrown away. Send them again; if it happens again, the source is damaged",
        "为 {expected} 发送的字节不符（实际为 {found}），已丢弃。请重新发送；若再次出现，则来源已损坏";
    BLOB_WRONG_SIZE = "hub-blob-wrong-size",
        "Content {digest} shall have {expected} bytes and has {found}. Send it again; if it happens again, the source is damaged",
        "内容 {digest} 应有 {expected} 字节，实际为 {found}。请重新发送；若再次出现，则来源已损坏";
    BLOB_OFFSET = "hub-blob-offset",
        "Content {digest} goes on at byte {have}. Continue there",
        "内容 {digest} 应从第 {have} 字节继续。请从该处继续";
    BLOB_BUSY = "hub-blob-busy",
        "Content {digest} is being sent by somebody else. Wait until that is done and repeat",
        "内容 {digest} 正由其他人上传。请等待其完成后重试";
    BLOB_TOO_MANY_PARTS = "hub-blob-too-many-parts",
        "{max} uploads are unfinished already. Finish some, or restart the hub after a week: it forgets old ones",
        "已有 {max} 个未完成的上传。请先完成其中一些；超过一周未继续的上传会在中心重启时清除";
    BLOB_NO_SPACE = "hub-blob-no-space",
        "The hub's disk has no room: {need} bytes are needed, {free} are free. Free some space in its state directory and repeat",
        "中心的磁盘空间不足：需要 {need} 字节，剩余 {free} 字节。请在其状态目录所在磁盘上释放空间后重试";
    BLOB_IO = "hub-blob-io",
        "The hub's disk failed while {doing}: {cause}. Check the disk of its state directory",
        "中心的磁盘在 {doing} 时出错：{cause}。请检查其状态目录所在的磁盘";
}
