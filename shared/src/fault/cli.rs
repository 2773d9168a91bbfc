//! Texts of the area `cli`: what the command lines meet and say.

super::texts! {
    DAEMON_UNREACHABLE = "cli-daemon-unreachable",
        "No edge-node answers at {path} ({cause}). Start it: systemctl start edge-node; or name its socket with --socket. Only root may use it",
        "{path} 上没有 edge-node 应答（{cause}）。请启动：systemctl start edge-node；或用 --socket 指定其套接字。只有 root 可以使用";
    DAEMON_DENIED = "cli-daemon-denied",
        "You may not use {path} ({cause}). Run the command as root: sudo edge-node …",
        "无权使用 {path}（{cause}）。请以 root 执行：sudo edge-node …";
    DAEMON_TIMEOUT = "cli-daemon-timeout",
        "The daemon at {path} did not answer within {seconds} s. See whether it is busy: journalctl -u edge-node",
        "{path} 上的守护进程在 {seconds} 秒内没有应答。请查看是否繁忙：journalctl -u edge-node";
    DAEMON_BAD_ANSWER = "cli-daemon-bad-answer",
        "The daemon at {path} answered what this program does not understand ({why}). Do both have the same version? edge-node version",
        "{path} 上的守护进程返回了本程序无法理解的内容（{why}）。两者版本是否一致？请执行 edge-node version";
    INPUT_FAILED = "cli-input-failed",
        "{what} cannot be read: {cause}. Name a file, or - for standard input",
        "无法读取 {what}：{cause}。请指定文件，或用 - 表示标准输入";
    // ---- the command line
    UNKNOWN_ARGUMENT = "cli-unknown-argument",
        "{given} is not known here. What is: {help}",
        "此处不认识 {given}。可用的参数见：{help}";
    UNKNOWN_ARGUMENT_NEAR = "cli-unknown-argument-near",
        "{given} is not known here; nearest: {near}. All of them: {help}",
        "此处不认识 {given}，最接近的是：{near}。全部参数见：{help}";
    BAD_VALUE = "cli-bad-value",
        "{value} does not fit {argument}: {why}. See: {help}",
        "{value} 不适用于 {argument}：{why}。请参阅：{help}";
    BAD_CHOICE = "cli-bad-choice",
        "{value} does not fit {argument}. Possible are: {choices}",
        "{value} 不适用于 {argument}。可选值：{choices}";
    NO_VALUE = "cli-no-value",
        "{argument} needs a value. See: {help}",
        "{argument} 需要一个值。请参阅：{help}";
    MISSING_ARGUMENT = "cli-missing-argument",
        "{arguments} is missing. See: {help}",
        "缺少 {arguments}。请参阅：{help}";
    MISSING_COMMAND = "cli-missing-command",
        "A command is missing. All of them: {help}",
        "缺少命令。全部命令见：{help}";
    ARGUMENT_CONFLICT = "cli-argument-conflict",
        "{argument} does not go together with {other}. Leave one out",
        "{argument} 不能与 {other} 同时使用。请去掉其中一个";
    BAD_USAGE = "cli-bad-usage",
        "The command line cannot be read: {why}. See: {help}",
        "无法读取命令行：{why}。请参阅：{help}";
    BAD_PAIR = "cli-bad-pair",
        "{text} is not {form}",
        "{text} 不是 {form} 形式";
    BAD_KIND = "cli-bad-kind",
        "There is no kind {given}. There are: {kinds}",
        "没有 {given} 这种对象。可用的有：{kinds}";
    NOT_FOR_KIND = "cli-not-for-kind",
        "{what} is not possible for {kind}",
        "{kind} 不支持 {what}";
    BAD_REFERENCE = "cli-bad-reference",
        "{text} is not {form}. For example: {example}",
        "{text} 不是 {form}。例如：{example}";
    BAD_NAME = "cli-bad-name",
        "{text} is not a name: use 1 to 63 of a-z, 0-9 and -, with no - at either end",
        "{text} 不是有效名称：请使用 1 到 63 个 a-z、0-9 和 - 字符，首尾不能是 -";
    BAD_SELECTOR = "cli-bad-selector",
        "{part} does not fit into a deployment's selector. Use key=value, several with commas; every node: --all-nodes",
        "{part} 不能用作部署的选择器。请使用 键=值，多个用逗号分隔；所有节点请用 --all-nodes";
    NO_TARGET = "cli-no-target",
        "{name} is new, so say where: --node NODE, -l KEY=VALUE or --all-nodes",
        "{name} 是新的，请指明目标：--node 节点、-l 键=值 或 --all-nodes";
    UNKNOWN_SERVICE = "cli-unknown-service",
        "--image names the service {service}, which the manifest does not have. It has: {services}",
        "--image 指定的服务 {service} 不在清单中。清单中的服务：{services}";
    BAD_PLATFORM = "cli-bad-platform",
        "{text} is not a platform such as linux/amd64, linux/arm64 or linux/arm/v7",
        "{text} 不是平台，例如 linux/amd64、linux/arm64 或 linux/arm/v7";
    BAD_CONDITION = "cli-bad-condition",
        "{kind} cannot be waited for with {given}. Possible are: {conditions}",
        "{kind} 不能等待条件 {given}。可用的条件：{conditions}";
    // ---- contexts and trust
    NO_CONTEXT = "cli-no-context",
        "No hub is chosen. Log in first: hubctl login https://HUB:PORT",
        "尚未选择中心。请先登录：hubctl login https://中心:端口";
    CONTEXT_UNKNOWN = "cli-context-unknown",
        "There is no context {name}. There are: {known}",
        "没有名为 {name} 的上下文。现有：{known}";
    NO_PIN = "cli-no-pin",
        "No CA fingerprint is known for {server}. Log in to it, or set CAUSEWAY_CA_FINGERPRINT",
        "没有 {server} 的 CA 指纹。请先登录该中心，或设置 CAUSEWAY_CA_FINGERPRINT";
    NO_TOKEN = "cli-no-token",
        "No API token is known for {server}. Log in to it, or set CAUSEWAY_TOKEN",
        "没有 {server} 的 API 令牌。请先登录该中心，或设置 CAUSEWAY_TOKEN";
    INTERRUPTED = "cli-interrupted",
        "Interrupted; nothing was stored",
        "已中断，没有保存任何内容";
    EMPTY_TOKEN = "cli-empty-token",
        "The API token is empty or holds other than visible ASCII characters. Give it with --token, or on the standard input",
        "API 令牌为空，或含有可见 ASCII 以外的字符。请用 --token 或从标准输入给出";
    BAD_URL = "cli-bad-url",
        "{url} is not the address of a hub such as https://hub.example:8443",
        "{url} 不是中心的地址，例如 https://hub.example:8443";
    BAD_FINGERPRINT = "cli-bad-fingerprint",
        "{text} is not a CA fingerprint: sha256: and 64 hexadecimal digits",
        "{text} 不是 CA 指纹：应为 sha256: 加 64 位十六进制数字";
    UNCONFIRMED = "cli-unconfirmed",
        "{server} shows a CA with the fingerprint {found}, and nobody is at a terminal to compare it. Compare it on the hub's machine (openssl x509 -in /var/lib/causeway/hub/ca/root.pem -noout -fingerprint -sha256), then repeat with --ca-fingerprint or --ca",
        "{server} 出示的 CA 指纹为 {found}，但没有人在终端前核对。请在中心所在机器上核对（openssl x509 -in /var/lib/causeway/hub/ca/root.pem -noout -fingerprint -sha256），然后用 --ca-fingerprint 或 --ca 重试";
    REFUSED_CA = "cli-refused-ca",
        "The CA with the fingerprint {found} was not accepted; nothing was sent to {server}",
        "未接受指纹为 {found} 的 CA；没有向 {server} 发送任何内容";
    WRONG_CA = "cli-wrong-ca",
        "{server} does not show the CA that is trusted ({pinned}), but {found}. Something may stand in between; if the hub was set up anew, log in again with its new fingerprint",
        "{server} 出示的不是受信任的 CA（{pinned}），而是 {found}。中间可能有人拦截；如果中心是重新建立的，请用新指纹重新登录";
    BAD_CERTIFICATE = "cli-bad-certificate",
        "The certificate of {server} is not accepted: {cause}. Check the name in the address and this machine's clock",
        "{server} 的证书未被接受：{cause}。请检查地址中的名称和本机时钟";
    // ---- the hub
    UNREACHABLE = "cli-unreachable",
        "{server} cannot be reached: {cause}. Check the address, the network, and whether the hub runs",
        "无法连接 {server}：{cause}。请检查地址、网络，以及中心是否在运行";
    NO_ANSWER = "cli-no-answer",
        "{server} gave no answer within {seconds} s. Repeat, and check the load of the hub",
        "{server} 在 {seconds} 秒内没有应答。请重试，并检查中心的负载";
    BAD_ANSWER = "cli-bad-answer",
        "The answer of {server} cannot be read: {cause}. Compare the versions: hubctl version",
        "无法读取 {server} 的应答：{cause}。请比较版本：hubctl version";
    BARE_STATUS = "cli-bare-status",
        "{server} answered with HTTP status {status} and no reason. Is it a hub, or does a proxy stand in between?",
        "{server} 返回 HTTP 状态 {status}，没有说明原因。它是中心吗？中间是否有代理？";
    NOT_FOUND = "cli-not-found",
        "There is no {kind} {name}",
        "没有 {kind} {name}";
    WATCH_LOST = "cli-watch-lost",
        "The connection to {server} was lost ({cause}); connecting again",
        "与 {server} 的连接中断（{cause}），正在重新连接";
    INGEST_CUT = "cli-ingest-cut",
        "The hub stopped telling about the image {image}. Repeat: what it has stays, so it goes on from there",
        "中心没有继续报告镜像 {image} 的进度。请重试：已取得的内容会保留，将从中断处继续";
    UPLOAD_STUCK = "cli-upload-stuck",
        "The upload of {blob} does not get beyond byte {offset}: {cause}. Repeat: it goes on from there",
        "{blob} 的上传停在第 {offset} 字节：{cause}。请重试：将从该处继续";
    IMAGE_UNFIT = "cli-image-unfit",
        "The image {image} at the hub does not hold together: {why}. Nothing was signed. Publish from an archive, or check the hub",
        "中心上的镜像 {image} 前后不一致：{why}。没有签署任何内容。请改用归档文件发布，或检查中心";
    RELEASE_TOO_LARGE = "cli-release-too-large",
        "The release has {size} bytes, allowed are {max}. Put large configs into an image or a volume",
        "发布包有 {size} 字节，上限为 {max}。请把大的配置放进镜像或卷";
    WAIT_TIMEOUT = "cli-wait-timeout",
        "{what} is not {condition} after {seconds} s: {state}",
        "{what} 在 {seconds} 秒后仍未达到 {condition}：{state}";
    WAIT_HOPELESS = "cli-wait-hopeless",
        "{what} does not become {condition} by itself: node {node} undid the release. {why}",
        "{what} 无法自行达到 {condition}：节点 {node} 已回退该发布包。{why}";
    // ---- this machine
    FILE_FAILED = "cli-file-failed",
        "{doing} {path} failed: {cause}. Check the path, its owner and the disk",
        "{doing} {path} 失败：{cause}。请检查路径、属主和磁盘";
    FILE_TOO_LARGE = "cli-file-too-large",
        "{path} is larger than {max} bytes. Is it the right file?",
        "{path} 大于 {max} 字节。文件是否正确？";
    FILE_NOT_TEXT = "cli-file-not-text",
        "{path} is not a UTF-8 text. Is it the right file?",
        "{path} 不是 UTF-8 文本。文件是否正确？";
    FILE_EXPOSED = "cli-file-exposed",
        "{path} holds a secret and others may read it (mode {mode}). If nobody did: chmod 600 {path}",
        "{path} 含有机密，但其他用户可以读取（权限 {mode}）。确认无人读取后执行：chmod 600 {path}";
    CONFIG_DAMAGED = "cli-config-damaged",
        "{path} cannot be read: {cause}. Correct it, or remove it and log in again",
        "无法读取 {path}：{cause}。请修正，或删除后重新登录";
    NO_HOME = "cli-no-home",
        "Neither XDG_CONFIG_HOME nor HOME is an absolute path, so there is no place for contexts and keys. Set one of them",
        "XDG_CONFIG_HOME 和 HOME 都不是绝对路径，没有地方存放上下文和密钥。请设置其中之一";
    KEY_EXISTS = "cli-key-exists",
        "{path} exists and is not replaced: releases signed with it would lose their publisher. Choose another file",
        "{path} 已存在，不会替换：否则用它签署的发布包将失去发布者。请选择其他文件";
    KEY_MISSING = "cli-key-missing",
        "There is no publisher key in {path}. Make one: hubctl keygen",
        "{path} 中没有发布者密钥。请生成：hubctl keygen";
    KEY_DAMAGED = "cli-key-damaged",
        "{path} holds no publisher key. Restore it from your backup, or make a new one in another file: hubctl keygen --file FILE",
        "{path} 中没有发布者密钥。请从备份恢复，或在其他文件中新建：hubctl keygen --file 文件";
    BAD_PUBLIC_KEY = "cli-bad-public-key",
        "{text} is neither a public key (ed25519: and 64 hexadecimal digits) nor a file that holds one",
        "{text} 既不是公钥（ed25519: 加 64 位十六进制数字），也不是含有公钥的文件";
    BAD_CA_FILE = "cli-bad-ca-file",
        "{path} holds no certificate in PEM. Give the CA certificate that the hub keeps in its state directory",
        "{path} 中没有 PEM 格式的证书。请提供中心状态目录中的 CA 证书";
    NO_RANDOMNESS = "cli-no-randomness",
        "The system gives no random bytes ({cause}). Check /dev/urandom, then repeat",
        "系统无法提供随机数（{cause}）。请检查 /dev/urandom 后重试";
    NOT_STARTED = "cli-not-started",
        "hubctl cannot start: {cause}",
        "hubctl 无法启动：{cause}";
    OUTPUT_FAILED = "cli-output-failed",
        "The output cannot be written: {cause}",
        "无法写入输出：{cause}";
    // ---- what is said when all is well
    ASK_CA = "cli-ask-ca",
        "{server} shows a CA with this fingerprint:\n  {found}\nCompare it on the hub's machine: openssl x509 -in /var/lib/causeway/hub/ca/root.pem -noout -fingerprint -sha256\nIs it the same? [yes/no] ",
        "{server} 出示的 CA 指纹为：\n  {found}\n请在中心所在机器上核对：openssl x509 -in /var/lib/causeway/hub/ca/root.pem -noout -fingerprint -sha256\n两者一致吗？[yes/no] ";
    ASK_TOKEN = "cli-ask-token",
        "API token (not shown): ",
        "API 令牌（不回显）：";
    LOGGED_IN = "cli-logged-in",
        "Logged in to hub {hub} as {name} ({role}); context {context}",
        "已以 {name}（{role}）身份登录中心 {hub}；上下文 {context}";
    CONTEXT_USED = "cli-context-used",
        "Now at context {name} ({server})",
        "当前上下文为 {name}（{server}）";
    CONTEXT_REMOVED = "cli-context-removed",
        "Context {name} removed",
        "已删除上下文 {name}";
    KEY_MADE = "cli-key-made",
        "Publisher key made in {path}; keep a copy in a safe place. Let the hub know it: hubctl publisher add NAME {public}",
        "已在 {path} 生成发布者密钥，请在安全处保存副本。向中心登记：hubctl publisher add 名称 {public}";
    NOTICE = "cli-notice",
        "notice: {text}",
        "注意：{text}";
    PUBLISHED = "cli-published",
        "Published {release} as {id}",
        "已发布 {release}，编号 {id}";
    PUBLISHED_BEFORE = "cli-published-before",
        "{release} was published before, with the same content: {id}",
        "{release} 此前已以相同内容发布：{id}";
    UNPUBLISHED = "cli-unpublished",
        "{release} unpublished; the hub frees what only it needed, but keeps for a day what just came",
        "已撤回 {release}；中心将释放只有它需要的空间，刚到的内容保留一天";
    WOULD_PUBLISH = "cli-would-publish",
        "{release} could be published; nothing was sent",
        "{release} 可以发布；没有发送任何内容";
    CHECKING = "cli-checking",
        "checking {what}",
        "校验 {what}";
    UPLOADING = "cli-uploading",
        "uploading {what}",
        "上传 {what}";
    FETCHING = "cli-fetching",
        "hub fetches {what}",
        "中心拉取 {what}";
    ALREADY_THERE = "cli-already-there",
        "{count} blobs are at the hub already",
        "{count} 个数据块已在中心";
    DEPLOYED = "cli-deployed",
        "Deployment {name}: {release} to {nodes} nodes, revision {revision}",
        "部署 {name}：{release} 到 {nodes} 个节点，修订 {revision}";
    PREFETCHED = "cli-prefetched",
        "Prefetch {name}: {release} to the disks of {nodes} nodes, revision {revision}; nothing that runs is touched. To end it: hubctl undeploy {name}",
        "预取 {name}：{release} 到 {nodes} 个节点的磁盘，修订 {revision}；正在运行的应用不受影响。结束预取请执行 hubctl undeploy {name}";
    BUDGET_SET = "cli-budget-set",
        "Budget {name}: {limits}, in force on {nodes} nodes, each by itself",
        "预算 {name}：{limits}，在 {nodes} 个节点上各自生效";
    UNDEPLOYED = "cli-undeployed",
        "Deployment {name} removed; its nodes stop the app and keep its volumes",
        "已删除部署 {name}；节点将停止该应用并保留其卷";
    WAITING = "cli-waiting",
        "{what}: {state}",
        "{what}：{state}";
    READY_STATE = "cli-ready-state",
        "{ready} of {nodes} nodes ready{phases}",
        "{nodes} 个节点中 {ready} 个就绪{phases}";
    CONDITION_MET = "cli-condition-met",
        "{what} is {condition}",
        "{what} 已达到 {condition}";
    TOKEN_UNTIL = "cli-token-until",
        "Run this on the machine that becomes node {node}; it works once, until {until}:",
        "请在将成为节点 {node} 的机器上执行以下命令；仅一次有效，截止 {until}：";
    API_TOKEN_MADE = "cli-api-token-made",
        "API token {name} ({role}); it is shown only now:",
        "API 令牌 {name}（{role}）；仅此一次显示：";
    REMOVED = "cli-removed",
        "{kind} {name} removed",
        "已删除 {kind} {name}";
    NODE_REVOKED = "cli-node-revoked",
        "Node {name} revoked: its session ends now, its apps run on",
        "节点 {name} 已吊销：其会话立即结束，应用继续运行";
    NODE_LABELLED = "cli-node-labelled",
        "Node {name}: {labels}",
        "节点 {name}：{labels}";
    PUBLISHER_ADDED = "cli-publisher-added",
        "Publisher {name} may sign releases with {key}",
        "发布者 {name} 可用 {key} 签署发布包";
    COMPARING = "cli-comparing",
        "{done} of {total} layers compared",
        "已比较 {done}/{total} 层";
    TRAVELS = "cli-travels",
        "{platform}: {bytes} to each node, {of_registry} of a registry pull ({registry}), {of_image} of the whole image ({image})",
        "{platform}：每个节点 {bytes}，为仓库拉取（{registry}）的 {of_registry}，为完整镜像（{image}）的 {of_image}";
    NOTHING_TRAVELS = "cli-nothing-travels",
        "{platform}: nothing to send, every layer is there already",
        "{platform}：无需传输，所有层均已存在";
    NOTHING_FOUND = "cli-nothing-found",
        "No {kind} found",
        "没有找到{kind}";
    NO_RUNTIME = "cli-no-runtime",
        "The program could not begin its work: {cause}. The system may be out of memory or file descriptors",
        "程序无法开始工作：{cause}。系统可能缺少内存或文件描述符";
    // ---- what edge-node did on site
    STARTED = "cli-started",
        "Started: {what}",
        "已启动：{what}";
    STOPPED = "cli-stopped",
        "Stopped: {what}; it stays so until: edge-node start {target}",
        "已停止：{what}；恢复运行请执行 edge-node start {target}";
    PAUSED = "cli-paused",
        "Paused: {what}; nothing is lost, and it stays so until: edge-node resume",
        "已暂停：{what}；已传输的内容不会丢失，恢复请执行 edge-node resume";
    RESUMED = "cli-resumed",
        "Resumed: {what}",
        "已恢复：{what}";
    RESTARTING = "cli-restarting",
        "Restarting: {what}",
        "正在重启：{what}";
    SECRET_SET = "cli-secret-set",
        "Secret {name} of app {app} is set",
        "已设置应用 {app} 的密钥 {name}";
    SECRET_REMOVED = "cli-secret-removed",
        "Secret {name} of app {app} is removed",
        "已删除应用 {app} 的密钥 {name}";
    KEY_TRUSTED = "cli-key-trusted",
        "This node now accepts releases signed with {key}",
        "本节点现在接受由 {key} 签署的发布";
}
