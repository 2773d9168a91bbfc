//! Texts of the area `bundle`: what is carried between hub and node by hand.

super::texts! {
    NOT_ONE = "bundle-not-one",
        "This file is not a bundle. Make one at the hub: hubctl export NODE --to FILE",
        "该文件不是离线包。请在中心制作：hubctl export NODE --to FILE";
    UNKNOWN_VERSION = "bundle-unknown-version",
        "The bundle has format version {version}, which this program does not know. Update this program, or make the bundle with a hub of its version",
        "该离线包的格式版本为 {version}，本程序不支持。请升级本程序，或用同版本的中心重新制作";
    BAD_INDEX = "bundle-bad-index",
        "The bundle's list of contents makes no sense ({why}): it is damaged or was not made by a hub. Nothing was changed. Make it anew: hubctl export",
        "离线包的目录不正确（{why}）：文件已损坏或不是由中心制作。没有任何改动。请重新制作：hubctl export";
    SHORT = "bundle-short",
        "The bundle ends early, {missing} are missing: it was not copied whole. Nothing was changed. Copy it again, and eject the stick before you pull it",
        "离线包不完整，缺少 {missing}：没有复制完。没有任何改动。请重新复制，并在拔出 U 盘前先弹出";
    LONG = "bundle-long",
        "Something follows the end of the bundle, so it is not what the hub made. Nothing was changed. Copy it again",
        "离线包末尾有多余内容，与中心制作的不一致。没有任何改动。请重新复制";
    DIFFERS = "bundle-differs",
        "The bundle is damaged: its bytes do not fit its hash. Nothing was changed. Copy it again; if that does not help, use another stick",
        "离线包已损坏：内容与校验值不符。没有任何改动。请重新复制；如果仍然如此，请换一个 U 盘";
    UNREADABLE = "bundle-unreadable",
        "{path} cannot be read ({cause}). Is the stick in and mounted? Then run the command again; it goes on where it was",
        "无法读取 {path}（{cause}）。U 盘是否已插好并挂载？之后请再次执行该命令，将从中断处继续";
    NOT_FOR_US = "bundle-not-for-us",
        "The bundle is for {nodes}, not for this node, {node}. Nothing was changed. Export it for this node: hubctl export {node} --to FILE",
        "该离线包用于 {nodes}，不用于本节点 {node}。没有任何改动。请为本节点导出：hubctl export {node} --to FILE";
    LACKS_RELEASE = "bundle-lacks-release",
        "The bundle does not have release {release}, which its desired state names. Nothing was changed. Export it anew: hubctl export",
        "离线包中没有其期望状态所需的发布包 {release}。没有任何改动。请重新导出：hubctl export";
    LACKS = "bundle-lacks",
        "The bundle does not have {what}, and the hub cannot be reached. It was made for a node that has more already: export it without --have",
        "离线包中没有 {what}，也无法连接中心。该包是为已有更多内容的节点制作的：请不带 --have 重新导出";
    RUNS = "bundle-runs",
        "A bundle is being imported already. Wait until that has ended: edge-node events --follow",
        "已有一个离线包正在导入。请等待其结束：edge-node events --follow";
    INTERRUPTED = "bundle-interrupted",
        "The daemon at {path} ended during the import. Run the command again when it is back; it goes on where it was",
        "{path} 上的守护进程在导入期间退出。待其恢复后请再次执行该命令，将从中断处继续";
    BEGUN = "bundle-begun",
        "The bundle of {made} is being imported",
        "开始导入 {made} 制作的离线包";
    IMPORTED = "bundle-imported",
        "Everything of desired state {stamp} is on this node. The stick can be pulled; see: edge-node ps",
        "期望状态 {stamp} 的全部内容已在本节点上。现在可以拔出 U 盘；查看：edge-node ps";
    CHECKING = "bundle-checking",
        "Checking the bundle: {done} of {total}",
        "正在检查离线包：{done} / {total}";
    FETCHING = "bundle-fetching",
        "Copying from the bundle: {done} of {total}",
        "正在从离线包复制：{done} / {total}";
    MAKING = "bundle-making",
        "The hub prepares the bundle: layer {done} of {total}",
        "中心正在准备离线包：第 {done} 层，共 {total} 层";
    EXPORTED = "bundle-exported",
        "{path} ({size}) has all that {nodes} need. On each node: edge-node import {path}",
        "{path}（{size}）包含 {nodes} 所需的全部内容。在每个节点上执行：edge-node import {path}";
    FILE_LIMIT = "bundle-file-limit",
        "The bundle has {size}, and the file system of {path} takes no file of 4 GiB or more (FAT32). Format the stick as exFAT or ext4, or make the bundle smaller with --have",
        "离线包有 {size}，而 {path} 所在的文件系统不支持 4 GiB 以上的文件（FAT32）。请把 U 盘格式化为 exFAT 或 ext4，或用 --have 减小离线包";
    NO_ROOM = "bundle-no-room",
        "The bundle has {size}, and {path} has only {free} free. Free some space, or make the bundle smaller with --have",
        "离线包有 {size}，而 {path} 仅剩 {free}。请清理空间，或用 --have 减小离线包";
    NOTHING_SIGNED = "bundle-nothing-signed",
        "The hub has not signed a desired state for node {node} yet. Deploy something to it, or wait a moment",
        "中心尚未为节点 {node} 签署期望状态。请先向其部署应用，或稍候";
    NOT_A_RECEIPT = "bundle-not-a-receipt",
        "This file is not a receipt. Make one on the node: edge-node receipts --to FILE",
        "该文件不是回执。请在节点上生成：edge-node receipts --to FILE";
    RECEIPT_UNREADABLE = "bundle-receipt-unreadable",
        "The receipt cannot be read ({cause}): it is damaged or of a newer version. Nothing was changed. Make it anew: edge-node receipts --to FILE",
        "无法读取该回执（{cause}）：文件已损坏或版本更新。没有任何改动。请重新生成：edge-node receipts --to FILE";
    RECEIPT_NOT_SIGNED = "bundle-receipt-not-signed",
        "The receipt was not signed by node {node}: {cause}. Nothing was changed. Make it anew on that node: edge-node receipts --to FILE",
        "该回执不是由节点 {node} 签署的：{cause}。没有任何改动。请在该节点上重新生成：edge-node receipts --to FILE";
    RECEIPT_KEY = "bundle-receipt-key",
        "The node's key cannot sign a receipt ({cause}). Join anew: edge-node join TOKEN --again",
        "节点的密钥无法签署回执（{cause}）。请重新接入：edge-node join TOKEN --again";
    RECEIPT_WRITTEN = "bundle-receipt-written",
        "{path} holds the newest report of {node} and {events} events. At the hub: hubctl import-receipts {path}",
        "{path} 包含 {node} 的最新报告和 {events} 条事件。在中心执行：hubctl import-receipts {path}";
    RECEIPT_MERGED = "bundle-receipt-merged",
        "Receipt of {node}: {events} new events; the report was taken",
        "节点 {node} 的回执：新增 {events} 条事件，报告已采用";
    RECEIPT_OLD = "bundle-receipt-old",
        "Receipt of {node}: {events} new events; the hub already has a report that is at least as new",
        "节点 {node} 的回执：新增 {events} 条事件；中心已有同样新或更新的报告";
    RECEIPT_TAKEN = "bundle-receipt-taken",
        "A receipt of node {node} was merged with {events} new events (node's clock {wall})",
        "已合并节点 {node} 的回执，新增 {events} 条事件（节点时钟 {wall}）";
}
