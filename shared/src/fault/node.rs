//! Texts of the area `node`: what the daemon of an edge machine meets.

super::texts! {
    RUNTIME_UNREACHABLE = "node-runtime-unreachable",
        "containerd does not answer ({cause}). Running apps go on; the node tries again by itself. Check: systemctl status containerd",
        "containerd 没有应答（{cause}）。正在运行的应用不受影响，节点会自动重试。请检查：systemctl status containerd";
    RUNTIME_FAILED = "node-runtime-failed",
        "{doing} failed: {cause}. The node tries again by itself",
        "{doing} 失败：{cause}。节点会自动重试";
    TRIAL_DEADLINE = "node-trial-deadline",
        "Not all services were up within {seconds} s of the switch. Look at the app's logs, or allow more time with spec.update.deadline",
        "切换后 {seconds} 秒内并非所有服务都已就绪。请查看应用日志，或用 spec.update.deadline 放宽时限";
    SERVICE_UNHEALTHY = "node-service-unhealthy",
        "The health check of service {service} fails. Look at its logs, then publish a corrected release",
        "服务 {service} 的健康检查失败。请查看其日志，然后修正并发布新的发布包";
    SERVICE_EXITS = "node-service-exits",
        "Service {service} ended with code {code} after {restarts} restarts. Look at its logs, then publish a corrected release",
        "服务 {service} 在重启 {restarts} 次后以代码 {code} 退出。请查看其日志，然后修正并发布新的发布包";
    SERVICE_OUT_OF_MEMORY = "node-service-out-of-memory",
        "Service {service} was killed for want of memory (code {code}, {restarts} restarts). Raise deploy.resources.limits.memory",
        "服务 {service} 因内存不足被终止（代码 {code}，已重启 {restarts} 次）。请提高 deploy.resources.limits.memory";
    SERVICE_HELD_UP = "node-service-held-up",
        "Service {service} waits for {needed}, which is stopped. Start {needed} too",
        "服务 {service} 在等待已停止的 {needed}。请同时启动 {needed}";
    NO_IMAGE_FOR_PLATFORM = "node-no-image-for-platform",
        "The release has no image of service {service} for this machine ({platform}). Publish it for that platform too",
        "该发布包没有适用于本机（{platform}）的服务 {service} 镜像。请同时发布该平台的镜像";
    STATE_DISK_FULL = "node-state-disk-full",
        "No space left for the node's state ({path}). Running apps go on, new desired states wait. Free some disk space",
        "节点状态（{path}）所在磁盘已满。正在运行的应用不受影响，新的期望状态将等待。请清理磁盘空间";
    STATE_RESERVE_USED = "node-state-reserve-used",
        "The disk of {path} has no room to spare: {left} are left of the {size} that are kept for the node's state. Running apps and the node go on; when nothing is left, new desired states and commands wait. Free some disk space; the node notices by itself",
        "{path} 所在磁盘空间不足：为节点状态预留的 {size} 还剩 {left}。正在运行的应用和节点不受影响；用尽后，新的期望状态和命令将等待。请清理磁盘空间，节点会自动察觉";
    STATE_RESERVE_BACK = "node-state-reserve-back",
        "There is room on the disk again: {size} are kept for the node's state",
        "磁盘重新有空间：已为节点状态预留 {size}";
    STATE_FAILED = "node-state-failed",
        "The node's state cannot be written: {cause}. Running apps go on. Check the disk",
        "无法写入节点状态：{cause}。正在运行的应用不受影响。请检查磁盘";
    STATE_REPAIRED = "node-state-repaired",
        "The node's state file was damaged ({cause}) and was made anew from its second copy with {records} records. The damaged file lies beside it. Check the disk",
        "节点状态文件已损坏（{cause}），已用第二份副本重建，共 {records} 条记录。损坏的文件保留在旁边。请检查磁盘";
    NO_SUCH_APP = "node-no-such-app",
        "This node has no app {app} with service {service}. List them: edge-node ps",
        "本节点没有应用 {app} 的服务 {service}。请查看列表：edge-node ps";
    OPERATOR_STOP = "node-operator-stop",
        "Stopped on site: {service}. It stays stopped until somebody starts it here",
        "现场停止：{service}。在现场重新启动之前保持停止";
    OPERATOR_START = "node-operator-start",
        "Started on site: {service}",
        "现场启动：{service}";
    EVENT_ACCEPTED = "node-accepted",
        "Accepted the desired state {stamp}",
        "已接受期望状态 {stamp}";
    EVENT_TRY = "node-release-tried",
        "Release {release} is complete on disk and proves itself now",
        "发布包 {release} 已完整落盘，正在验证";
    EVENT_KEEP = "node-release-kept",
        "Release {release} proved itself",
        "发布包 {release} 验证通过";
    EVENT_REST = "node-release-rests",
        "Release {release} cannot start before its images are whole on this disk; it proves itself after that, from the beginning",
        "发布包 {release} 的镜像在本机磁盘上完整无误之前无法启动；之后重新开始验证";
    EVENT_ABANDON = "node-release-abandoned",
        "Release {release} is no longer wanted; its trial ends",
        "不再需要发布包 {release}，其验证结束";
    EVENT_UNDO = "node-release-undone",
        "Release {release} was undone, the last good one comes back: {cause}",
        "发布包 {release} 已回退，恢复上一个正常的发布包：{cause}";
    EVENT_FINISH = "node-service-finished",
        "Service {service} ended well and is not started again",
        "服务 {service} 正常结束，不再启动";
    EVENT_GONE = "node-app-gone",
        "The app was removed; its volumes are kept",
        "应用已移除；卷保留";
    EVENT_EXIT = "node-service-ended",
        "Service {service} ended with code {code}",
        "服务 {service} 以代码 {code} 结束";
    EVENT_OUT_OF_MEMORY = "node-service-ended-out-of-memory",
        "Service {service} was killed for want of memory (code {code}). Raise deploy.resources.limits.memory",
        "服务 {service} 因内存不足被终止（代码 {code}）。请提高 deploy.resources.limits.memory";
    EVENT_IMAGE_FETCHED = "node-image-fetched",
        "Image {image} came with {sent}: {percent} of the {whole} that pulling all of it takes",
        "镜像 {image} 传输了 {sent}，为完整拉取 {whole} 的 {percent}";
    IMAGE_DAMAGED = "node-image-damaged",
        "Image {image} is damaged on this disk; it is unpacked again before anything starts from it",
        "镜像 {image} 在本机磁盘上已损坏；重新解包之前不会用它启动任何服务";
    EVENT_IMAGE_READY = "node-image-ready",
        "Image {image} is unpacked, verified and synced",
        "镜像 {image} 已解包、校验并落盘";
    NEIGHBOUR_WRONG = "node-neighbour-wrong",
        "Node {neighbour} of this site sent wrong bytes ({why}). Nothing of them was kept, and it is asked nothing for an hour. If this comes again, check that node's disk and who has access to it",
        "本站点的节点 {neighbour} 发来错误的数据（{why}）。数据未被保留，一小时内不再向它请求。如再次出现，请检查该节点的磁盘及其访问权限";
    NEIGHBOUR_AWAY = "node-neighbour-away",
        "Node {neighbour} of this site did not answer ({cause}). Images come from others meanwhile. If it should be on, check the network between the two and that no firewall keeps its port closed",
        "本站点的节点 {neighbour} 没有应答（{cause}）。其间镜像从其他来源获取。如果它应当在线，请检查两者之间的网络，以及防火墙是否放行其端口";
    NEIGHBOUR_LACKS = "node-neighbour-lacks",
        "Node {neighbour} of this site no longer had what it said it has; it is asked again soon",
        "本站点的节点 {neighbour} 已不再拥有它声称拥有的内容；稍后会再次询问";
    NEIGHBOUR_BRINGS = "node-neighbour-brings",
        "It waits for node {neighbour} of this site, which brings it over the link, and is taken from there then",
        "等待本站点的节点 {neighbour} 经链路取得后，再从该节点获取";
    NEIGHBOUR_GIVES = "node-neighbour-gives",
        "It comes from node {neighbour} of this site, not over the link",
        "正从本站点的节点 {neighbour} 获取，不经过链路";
    EVENT_STARTED = "node-started",
        "The node daemon {version} started",
        "节点守护进程 {version} 已启动";
    SECRET_MISSING = "node-secret-missing",
        "The secret {name} of app {app} is not on this node. Put it there: edge-node secret set {app} {name}",
        "本节点上没有应用 {app} 的机密 {name}。请在节点上设置：edge-node secret set {app} {name}";
    PORT_TAKEN = "node-port-taken",
        "Port {port} of the node already leads to service {service} of app {app}. Publish another port, or remove that app from this node",
        "节点端口 {port} 已被应用 {app} 的服务 {service} 占用。请改用其他端口，或从本节点移除该应用";
    PORT_UNUSABLE = "node-port-unusable",
        "Port {port} cannot be used on this node ({cause}). Publish another port, or end the program that holds it: ss -lntup",
        "节点端口 {port} 无法使用（{cause}）。请改用其他端口，或结束占用它的程序：ss -lntup";
    BIND_OUTSIDE = "node-bind-outside",
        "{source} must not be mounted: this node allows directories below {allowed}. Move the data there, or let the site allow it: bind_roots in node.toml",
        "不允许挂载 {source}：本节点只允许 {allowed} 之下的目录。请把数据移到那里，或由现场在 node.toml 的 bind_roots 中放行";
    BIND_MISSING = "node-bind-missing",
        "{source} cannot be mounted: {cause}. Create it on the node, or use a named volume",
        "无法挂载 {source}：{cause}。请先在节点上创建它，或使用命名卷";
    BIND_PROTECTED = "node-bind-protected",
        "{source} must never be mounted: it leads to the node's own files or to containerd. Use a named volume or another directory",
        "禁止挂载 {source}：它会暴露节点自身的文件或 containerd。请使用命名卷或其他目录";
    DEVICE_REFUSED = "node-device-refused",
        "Device {device} must not be given to an app: this node allows {allowed}. Let the site allow it: devices in node.toml",
        "不允许把设备 {device} 交给应用：本节点只允许 {allowed}。可由现场在 node.toml 的 devices 中放行";
    DEVICE_MISSING = "node-device-missing",
        "Device {device} is not there: {cause}. Connect it, or correct its path",
        "设备 {device} 不存在：{cause}。请连接设备，或改正路径";
    CAPABILITY_REFUSED = "node-capability-refused",
        "Capability {capability} must not be given to an app: this node allows {allowed}. Remove it from cap_add, or let the site allow it: capabilities in node.toml",
        "不允许授予应用权能 {capability}：本节点只允许 {allowed}。请从 cap_add 中去掉，或由现场在 node.toml 的 capabilities 中放行";
    HOST_NETWORK_REFUSED = "node-host-network-refused",
        "Service {service} must not use the node's own network: this node does not allow it. Remove network_mode: host, or let the site allow it: host_network = true in node.toml",
        "不允许服务 {service} 使用节点自身的网络：本节点没有放行。请去掉 network_mode: host，或由现场在 node.toml 中设置 host_network = true";
    USER_UNKNOWN = "node-user-unknown",
        "The image has no user or group {user}. Use a number, or a name from the image's own /etc/passwd and /etc/group",
        "镜像中没有用户或用户组 {user}。请使用数字，或镜像自身 /etc/passwd、/etc/group 中的名称";
    USER_RANGE = "node-user-range",
        "User or group number {user} is refused: it must be at most 2147483647",
        "用户或用户组编号 {user} 被拒绝：不得大于 2147483647";
    COMMAND_MISSING = "node-command-missing",
        "Service {service} has no program to run: neither it nor its image names one. Set command in the manifest",
        "服务 {service} 没有可运行的程序：清单和镜像都未指定。请在清单中设置 command";
    TEXT_REFUSED = "node-text-refused",
        "{what} of service {service} has a character that no program can be given (NUL). Remove it from the manifest or the image",
        "服务 {service} 的 {what} 含有程序无法接收的字符（NUL）。请从清单或镜像中去掉";
    PATH_REFUSED = "node-path-refused",
        "{path} cannot be {what} of service {service}: use an absolute path without '..', outside /proc and /sys, and not / or /dev itself",
        "{path} 不能用作服务 {service} 的 {what}：请使用不含“..”的绝对路径，不得位于 /proc 或 /sys 之下，也不能是 / 或 /dev 本身";
    SIGNAL_UNKNOWN = "node-signal-unknown",
        "{signal} is not a signal. Use a name such as SIGTERM or SIGINT, or a number from 1 to 64",
        "{signal} 不是信号。请使用 SIGTERM、SIGINT 等名称，或 1 到 64 的数字";
    CNI_MISSING = "node-cni-missing",
        "The network plugin {plugin} is not in {searched}. Install it: apt-get install containernetworking-plugins iptables",
        "在 {searched} 中找不到网络插件 {plugin}。请安装：apt-get install containernetworking-plugins iptables";
    CONFIG_UNREADABLE = "node-config-unreadable",
        "{file} cannot be read: {cause}. Check its path and owner, or start without --config to use the defaults",
        "无法读取 {file}：{cause}。请检查路径和属主，或不带 --config 启动以使用默认值";
    CONFIG_SYNTAX = "node-config-syntax",
        "{file}:{line}: {cause}. Correct the line; edge-node run --check shows whether it is right",
        "{file}:{line}：{cause}。请改正这一行；可用 edge-node run --check 检查";
    CONFIG_UNKNOWN_KEY = "node-config-unknown-key",
        "{file}:{line}: {key} is not a setting. Nearest setting: {near}",
        "{file}:{line}：没有名为 {key} 的设置。最接近的设置：{near}";
    CONFIG_BAD_VALUE = "node-config-bad-value",
        "{file}:{line}: {key} is not right: {cause}. Correct it, or remove the line to use the default",
        "{file}:{line}：{key} 不正确：{cause}。请改正，或删除这一行以使用默认值";
    CHECK_NOT_WRITABLE = "node-check-not-writable",
        "{path} cannot be written by this user ({cause}). Run as root, or choose another directory",
        "当前用户无法写入 {path}（{cause}）。请以 root 运行，或选择其他目录";
    CHECK_NO_SOCKET = "node-check-no-socket",
        "containerd does not listen at {path} ({cause}). Start it: systemctl start containerd; or name its socket in node.toml",
        "containerd 没有在 {path} 监听（{cause}）。请启动：systemctl start containerd；或在 node.toml 中指定其套接字";
    CHECK_NO_DIRECTORY = "node-check-no-directory",
        "{path} is not a directory ({cause}). Create it, or remove it from the setting",
        "{path} 不是目录（{cause}）。请创建它，或从设置中去掉";
    CHECK_NO_LISTENER = "node-check-no-listener",
        "Neighbours cannot reach this machine at {address} ({cause}). Choose another address or port in node.toml, or end the program that holds it: ss -lntp",
        "邻居节点无法通过 {address} 连接本机（{cause}）。请在 node.toml 中改用其他地址或端口，或结束占用它的程序：ss -lntp";
    ALREADY_RUNS = "node-already-runs",
        "Another edge-node runs with {path}. Use it, stop it first (systemctl stop edge-node), or choose another run_dir",
        "已有一个 edge-node 在使用 {path}。请直接使用它，或先停止它（systemctl stop edge-node），或选择其他 run_dir";
    MEASURING = "node-measuring",
        "An earlier measurement of the disk has not ended; it was waited for {seconds} s. Try again; if it stays so, a file system below {path} does not answer: see dmesg and mount",
        "上一次磁盘统计尚未结束，已等待 {seconds} 秒。请重试；如果一直如此，说明 {path} 下有文件系统没有响应：请查看 dmesg 和 mount";
    FILE_FAILED = "node-file-failed",
        "{doing} {path} failed: {cause}. Check the disk and the owner of the file",
        "{doing} {path} 失败：{cause}。请检查磁盘和文件属主";
    FILE_EXPOSED = "node-file-exposed",
        "{path} is for the daemon alone, but others may use it (mode {mode}, owner {owner}). If nobody did: chown root:root {path} && chmod {want} {path}",
        "{path} 只能由守护进程使用，但其他用户可以访问（权限 {mode}，属主 {owner}）。确认无人动过后执行：chown root:root {path} && chmod {want} {path}";
    FILE_TOO_LARGE = "node-file-too-large",
        "{path} has more than {max} bytes, so it is not what it should be. Restore it",
        "{path} 超过 {max} 字节，内容不正常。请恢复该文件";
    APP_NOT_FOUND = "node-app-not-found",
        "There is no app {app} on this node. The apps that are here: edge-node ps",
        "本节点上没有应用 {app}。查看现有应用：edge-node ps";
    SERVICE_NOT_FOUND = "node-service-not-found",
        "App {app} has no service {service}. Its services are: {services}",
        "应用 {app} 没有服务 {service}。现有服务：{services}";
    SECRET_NOT_FOUND = "node-secret-not-found",
        "App {app} has no secret {name} on this node. Those that are here: edge-node secret list {app}",
        "本节点上应用 {app} 没有机密 {name}。查看现有机密：edge-node secret list {app}";
    SECRET_TOO_LARGE = "node-secret-too-large",
        "A secret may have at most {max} bytes. Put larger data into a volume",
        "机密最多 {max} 字节。更大的数据请放入卷";
    SECRETS_TOO_MANY = "node-secrets-too-many",
        "An app may have at most {max} secrets. Remove those it does not use: edge-node secret remove",
        "每个应用最多 {max} 个机密。请删除不用的：edge-node secret remove";
    API_BAD_REQUEST = "node-api-bad-request",
        "The request is not understood: {cause}. The API is described at /openapi.json",
        "无法理解该请求：{cause}。接口说明见 /openapi.json";
    API_NO_ROUTE = "node-api-no-route",
        "The local API has no {method} {path}. The API is described at /openapi.json",
        "本地接口没有 {method} {path}。接口说明见 /openapi.json";
    API_TIMEOUT = "node-api-timeout",
        "The daemon did not do it within {seconds} s; it may still come. See: edge-node status",
        "守护进程在 {seconds} 秒内没有完成，之后仍可能完成。请查看：edge-node status";
    TOO_MANY_LOGS = "node-too-many-logs",
        "This node already sends {limit} logs at once. Close one of them first",
        "本节点已在同时发送 {limit} 份日志。请先关闭其中一份";
    NO_LOG = "node-no-log",
        "There is no log of {app}/{service} on this node. It appears when the service is started for the first time",
        "本节点上没有 {app}/{service} 的日志。服务首次启动后才会出现";
    STOPPING = "node-stopping",
        "The node daemon is stopping. Try again when it is up: edge-node status",
        "节点守护进程正在停止。请在其恢复后重试：edge-node status";
    TASK_ENDED = "node-task-ended",
        "The daemon's {task} ended by itself: {cause}. It is restarted by systemd; containers are not touched",
        "守护进程的 {task} 自行退出：{cause}。systemd 会重新启动它，容器不受影响";
}
