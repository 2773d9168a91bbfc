//! Texts of the area `budget`: what holds an image back, and budgets that make no sense.

super::texts! {
    DAY_USED = "budget-day-used",
        "The link's bytes of the day are used ({used} of {quota}); images go on at {until}",
        "当日的链路流量已用完（{used}，共 {quota}）；镜像传输将于 {until} 继续";
    MONTH_USED = "budget-month-used",
        "The link's bytes of the month are used ({used} of {quota}); images go on at {until}",
        "当月的链路流量已用完（{used}，共 {quota}）；镜像传输将于 {until} 继续";
    COUNT_LOST = "budget-count-lost",
        "What the link carried this day and month cannot be read any more ({cause}). Until they end, their quotas count as used. To bring images before: edge-node import; or leave the quota out of the budget until then: hubctl budget set",
        "无法再读取当日和当月的链路流量记录（{cause}）。在当日和当月结束之前，其配额视为已用完。如需提前传输镜像：edge-node import；或在此之前从预算中去掉配额：hubctl budget set";
    WINDOW_CLOSED = "budget-window-closed",
        "Images come only within {windows}; they go on at {until}",
        "镜像只在 {windows} 时段内传输；将于 {until} 继续";
    PAUSED = "budget-paused",
        "Paused on site. It goes on where it is when somebody says so on the node: edge-node resume",
        "已在现场暂停。在节点上执行 edge-node resume 后从当前位置继续";
    OPERATOR_PAUSE = "budget-operator-pause",
        "Paused on site: {image}. It stays so, through reboots, until somebody resumes it here",
        "现场暂停传输：{image}。在现场恢复之前（包括重启之后）保持暂停";
    OPERATOR_RESUME = "budget-operator-resume",
        "Resumed on site: {image}",
        "现场恢复传输：{image}";
    NO_TRANSFER = "budget-no-transfer",
        "No image {image} is on its way to this node. List them: edge-node transfers",
        "没有正在传往本节点的镜像 {image}。请查看列表：edge-node transfers";
    ALL_PAUSED = "budget-all-paused",
        "All transfers of this node are paused, so that {image} alone cannot go on. Resume all: edge-node resume",
        "本节点的全部传输均已暂停，无法只恢复 {image}。请恢复全部：edge-node resume";
    TOO_MANY_PAUSED = "budget-too-many-paused",
        "{max} images are paused already. Resume some first, or pause all: edge-node pause",
        "已暂停 {max} 个镜像。请先恢复其中一些，或暂停全部：edge-node pause";
    BAD_WINDOW = "budget-bad-window",
        "{text} is no window. Write days, if not all, and times of day: 22:00-06:00, or mon-fri,sun 20:30-24:00",
        "{text} 不是有效的时段。请写明星期（省略则为每天）和时间：22:00-06:00，或 mon-fri,sun 20:30-24:00";
    BAD_ZONE = "budget-bad-zone",
        "{text} is no zone. Write the site's distance from UTC, from -12:00 to +14:00: +08:00",
        "{text} 不是有效的时区。请写现场相对 UTC 的时差，从 -12:00 到 +14:00：+08:00";
    TOO_MANY_WINDOWS = "budget-too-many-windows",
        "A budget has at most {max} windows. Put days together: mon-fri 22:00-06:00",
        "一个预算最多有 {max} 个时段。请合并星期：mon-fri 22:00-06:00";
    OUT_OF_RANGE = "budget-out-of-range",
        "{what} = {value} is out of range: from {min} to {max} bytes. Choose another value, or leave it out for no limit",
        "{what} = {value} 超出范围：应为 {min} 到 {max} 字节。请改用其他值，或省略以表示不限";
    LIMITS_NOTHING = "budget-limits-nothing",
        "The budget limits nothing. Give it a rate, bytes per day or month, or a window; or remove it: hubctl budget remove NAME",
        "该预算没有任何限制。请指定速率、每日或每月流量或时段；或删除它：hubctl budget remove 名称";
}
