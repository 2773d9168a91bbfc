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
}
