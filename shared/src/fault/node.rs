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
        "服务 {service} 的健康检查失败。请查看其日志，然后发布修正后的版本";
    SERVICE_EXITS = "node-service-exits",
        "Service {service} ended with code {code} after {restarts} restarts. Look at its logs, then publish a corrected release",
        "服务 {service} 在重启 {restarts} 次后以代码 {code} 退出。请查看其日志，然后发布修正后的版本";
    SERVICE_OUT_OF_MEMORY = "node-service-out-of-memory",
        "Service {service} was killed for want of memory (code {code}, {restarts} restarts). Raise deploy.resources.limits.memory",
        "服务 {service} 因内存不足被终止（代码 {code}，已重启 {restarts} 次）。请提高 deploy.resources.limits.memory";
    NO_IMAGE_FOR_PLATFORM = "node-no-image-for-platform",
        "The release has no image of service {service} for this machine ({platform}). Publish it for that platform too",
        "该版本没有适用于本机（{platform}）的服务 {service} 镜像。请同时发布该平台的镜像";
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
    CHECK_NO_PLUGIN = "node-check-no-plugin",
        "The network plugin {plugin} is not in {searched}. Install it: apt-get install containernetworking-plugins",
        "在 {searched} 中找不到网络插件 {plugin}。请安装：apt-get install containernetworking-plugins";
    CHECK_NO_DIRECTORY = "node-check-no-directory",
        "{path} is not a directory ({cause}). Create it, or remove it from the setting",
        "{path} 不是目录（{cause}）。请创建它，或从设置中去掉";
    ALREADY_RUNS = "node-already-runs",
        "Another edge-node runs with {path}. Use it, stop it first (systemctl stop edge-node), or choose another run_dir",
        "已有一个 edge-node 在使用 {path}。请直接使用它，或先停止它（systemctl stop edge-node），或选择其他 run_dir";
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
        "本节点上应用 {app} 没有密钥 {name}。查看现有密钥：edge-node secret list {app}";
    SECRET_TOO_LARGE = "node-secret-too-large",
        "A secret may have at most {max} bytes. Put larger data into a volume",
        "密钥最多 {max} 字节。更大的数据请放入数据卷";
    SECRETS_TOO_MANY = "node-secrets-too-many",
        "An app may have at most {max} secrets. Remove those it does not use: edge-node secret remove",
        "每个应用最多 {max} 个密钥。请删除不用的：edge-node secret remove";
    API_BAD_REQUEST = "node-api-bad-request",
        "The request is not understood: {cause}. The API is described at /openapi.json",
        "无法理解该请求：{cause}。接口说明见 /openapi.json";
    API_NO_ROUTE = "node-api-no-route",
        "The local API has no {method} {path}. The API is described at /openapi.json",
        "本地接口没有 {method} {path}。接口说明见 /openapi.json";
    API_TIMEOUT = "node-api-timeout",
        "The daemon did not do it within {seconds} s; it may still come. See: edge-node status",
        "守护进程在 {seconds} 秒内没有完成，之后仍可能完成。请查看：edge-node status";
    TASK_ENDED = "node-task-ended",
        "The daemon's {task} ended by itself: {cause}. It is restarted by systemd; containers are not touched",
        "守护进程的 {task} 自行退出：{cause}。systemd 会重新启动它，容器不受影响";
}
