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
    STATE_DISK_FULL = "node-state-disk-full",
        "No space left for the node's state ({path}). Running apps go on, new desired states wait. Free some disk space",
        "节点状态（{path}）所在磁盘已满。正在运行的应用不受影响，新的期望状态将等待。请清理磁盘空间";
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
        "版本 {release} 已完整落盘，正在验证";
    EVENT_KEEP = "node-release-kept",
        "Release {release} proved itself",
        "版本 {release} 验证通过";
    EVENT_UNDO = "node-release-undone",
        "Release {release} was undone, the last good one comes back: {cause}",
        "版本 {release} 已撤销，恢复上一个正常版本：{cause}";
    EVENT_FINISH = "node-service-finished",
        "Service {service} ended well and is not started again",
        "服务 {service} 正常结束，不再启动";
    EVENT_GONE = "node-app-gone",
        "The app was removed; its volumes are kept",
        "应用已移除；数据卷保留";
    EVENT_EXIT = "node-service-ended",
        "Service {service} ended with code {code}",
        "服务 {service} 以代码 {code} 结束";
    EVENT_OUT_OF_MEMORY = "node-service-ended-out-of-memory",
        "Service {service} was killed for want of memory (code {code}). Raise deploy.resources.limits.memory",
        "服务 {service} 因内存不足被终止（代码 {code}）。请提高 deploy.resources.limits.memory";
    EVENT_IMAGE_READY = "node-image-ready",
        "Image {image} is unpacked, verified and synced",
        "镜像 {image} 已解包、校验并落盘";
    EVENT_STARTED = "node-started",
        "The node daemon {version} started",
        "节点守护进程 {version} 已启动";
}
