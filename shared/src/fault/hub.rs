//! Texts of the area `hub`.

super::texts! {
    STORE_CONFLICT = "hub-store-conflict",
        "{key} was changed by somebody else meanwhile. Look at it again and repeat the change",
        "{key} 已被其他人修改。请重新查看后再次提交修改";
    STORE_COMPACTED = "hub-store-compacted",
        "Changes before revision {oldest} are forgotten. List anew and watch from there",
        "修订 {oldest} 之前的变更记录已不保留。请重新列出，并从新的修订开始观察";
    STORE_TOO_LARGE = "hub-store-too-large",
        "{what} is too large: {size}, allowed are {max}. Make it smaller or split it",
        "{what} 过大：{size}，上限为 {max}。请缩小或拆分";
    STORE_FULL = "hub-store-full",
        "The hub's disk is full; nothing was changed. Free some space in its state directory and repeat",
        "中心的磁盘已满，未做任何修改。请在其状态目录所在磁盘上释放空间后重试";
    STORE_DAMAGED = "hub-store-damaged",
        "The hub's store is damaged ({what}); it takes no more changes. Stop the hub, put back the last copy of its state directory, run cloud-hub new-epoch and start it again",
        "中心的存储已损坏（{what}），不再接受修改。请停止中心，放回其状态目录最近的副本，执行 cloud-hub new-epoch 后重新启动";
    STORE_FAILED = "hub-store-failed",
        "The hub's store failed while {doing}: {cause}. Check the disk of its state directory",
        "中心的存储在 {doing} 时失败：{cause}。请检查其状态目录所在的磁盘";
    STORE_CLOSED = "hub-store-closed",
        "The hub is shutting down. Repeat when it is up again",
        "中心正在关闭。请在其重新启动后重试";
    BLOB_MISSING = "hub-blob-missing",
        "The hub has no blob {digest}. Publish the release again, with its images",
        "中心没有数据块 {digest}。请连同镜像重新发布";
    BLOB_TOO_LARGE = "hub-blob-too-large",
        "Blob {digest} has {size} bytes, allowed are {max}. Make the layer smaller, or raise images.max_blob in the hub's configuration",
        "数据块 {digest} 有 {size} 字节，上限为 {max}。请缩小该层，或在中心配置中调大 images.max_blob";
    BLOB_WRONG_DIGEST = "hub-blob-wrong-digest",
        "The bytes sent for {expected} are other ones ({found}) and were thrown away. Send them again; if it happens again, the source is damaged",
        "为 {expected} 发送的字节不符（实际为 {found}），已丢弃。请重新发送；若再次出现，则来源已损坏";
    BLOB_WRONG_SIZE = "hub-blob-wrong-size",
        "Blob {digest} shall have {expected} bytes and has {found}. Send it again; if it happens again, the source is damaged",
        "数据块 {digest} 应有 {expected} 字节，实际为 {found}。请重新发送；若再次出现，则来源已损坏";
    BLOB_OFFSET = "hub-blob-offset",
        "Blob {digest} goes on at byte {have}. Continue there",
        "数据块 {digest} 应从第 {have} 字节继续。请从该处继续";
    BLOB_BUSY = "hub-blob-busy",
        "Blob {digest} is being sent by somebody else. Wait until that is done and repeat",
        "数据块 {digest} 正由其他人上传。请等待其完成后重试";
    BLOB_TOO_MANY_PARTS = "hub-blob-too-many-parts",
        "{max} uploads are being written at the same time. Try again when some are done",
        "已有 {max} 个上传正在同时写入。请等其中一些完成后重试";
    BLOB_NO_SPACE = "hub-blob-no-space",
        "The hub's disk has no room: {need} bytes are needed, {free} are free. Free some space in its state directory and repeat",
        "中心的磁盘空间不足：需要 {need} 字节，剩余 {free} 字节。请在其状态目录所在磁盘上释放空间后重试";
    BLOB_IO = "hub-blob-io",
        "The hub's disk failed while {doing}: {cause}. Check the disk of its state directory",
        "中心的磁盘在 {doing} 时出错：{cause}。请检查其状态目录所在的磁盘";
    NO_RANDOMNESS = "hub-no-randomness",
        "The system gives no random bytes ({cause}). Check /dev/urandom, then repeat",
        "系统无法提供随机数（{cause}）。请检查 /dev/urandom 后重试";
    SECRET_FILE_FAILED = "hub-secret-file-failed",
        "{doing} {path} failed: {cause}. The hub must own its state directory and be able to write to it",
        "{doing} {path} 失败：{cause}。中心必须拥有其状态目录并可写入";
    SECRET_FILE_EXPOSED = "hub-secret-file-exposed",
        "{path} holds a secret and others may read it (mode {mode}). If nobody did: chmod 600 {path}",
        "{path} 含有机密，但其他用户可以读取（权限 {mode}）。确认无人读取后执行：chmod 600 {path}";
    SECRET_FILE_DAMAGED = "hub-secret-file-damaged",
        "{path} holds no key, although nodes trust the one that was there. Put it back from the last copy of the hub's state directory",
        "{path} 中没有密钥，而节点信任的正是原来的密钥。请从中心状态目录最近的副本中恢复";
    CONFIG_UNREADABLE = "hub-config-unreadable",
        "{path} cannot be read: {cause}. Name another file with --config, or make it readable for the hub",
        "无法读取 {path}：{cause}。请用 --config 指定其他文件，或让中心可以读取它";
    CONFIG_BAD = "hub-config-bad",
        "{place}: this setting cannot be used: {why}. Correct it; cloud-hub serve --check shows whether it is right",
        "{place}：此设置无法使用：{why}。请改正；可用 cloud-hub serve --check 检查";
    CONFIG_VALUE = "hub-config-value",
        "{key} = {value}: {expected} is expected. Correct it in the configuration or on the command line",
        "{key} = {value}：应为 {expected}。请在配置文件或命令行中更正";
    LISTEN_FAILED = "hub-listen-failed",
        "Listening for the API on {address} failed: {cause}. Free the address, or set another one as api.listen",
        "在 {address} 上监听 API 失败：{cause}。请释放该地址，或在 api.listen 中设置其他地址";
    RUNTIME_FAILED = "hub-runtime-failed",
        "{doing} failed: {cause}. Look at the hub's log: journalctl -u cloud-hub",
        "{doing} 失败：{cause}。请查看中心日志：journalctl -u cloud-hub";
    NOT_A_HUB = "hub-not-a-hub",
        "There is no hub in {path}. Start it once with cloud-hub serve, or name its state directory with --state-dir",
        "{path} 中没有中心。请先用 cloud-hub serve 启动一次，或用 --state-dir 指定其状态目录";
    SAYS_FIRST_TOKEN = "hub-says-first-token",
        "This hub is new. Log in as its admin:\n  hubctl login {api} --ca-fingerprint {ca} --token - < {file}",
        "这是一个新的中心。以管理员身份登录：\n  hubctl login {api} --ca-fingerprint {ca} --token - < {file}";
    SAYS_CONFIG_GOOD = "hub-says-config-good",
        "The configuration is good. State directory: {state}",
        "配置正确。状态目录：{state}";
    SAYS_NEW_EPOCH = "hub-says-new-epoch",
        "The hub begins epoch {epoch} at its next start. Nodes accept its states again",
        "中心将在下次启动时进入纪元 {epoch}。节点会重新接受其状态";
    SAYS_CERTIFICATE = "hub-says-certificate",
        "Certificate for {name}, good for a year: {files}",
        "{name} 的证书（有效期一年）：{files}";
    BAD_JSON = "hub-bad-json",
        "The body is not the JSON that is expected here, line {line}, column {column}: {why}",
        "请求体不是此处需要的 JSON，第 {line} 行第 {column} 列：{why}";
    BAD_QUERY = "hub-bad-query",
        "The part of the address behind ? cannot be used: {why}. See /openapi.json for what is possible",
        "地址中 ? 之后的部分无法使用：{why}。可用参数见 /openapi.json";
    BAD_PATH = "hub-bad-path",
        "{value} cannot stand in this place of the address: expected is {expected}",
        "地址的这个位置不能是 {value}：应为 {expected}";
    BAD_HEADER = "hub-bad-header",
        "The header {header} cannot be used: expected is {expected}",
        "请求头 {header} 无法使用：应为 {expected}";
    BODY_TOO_LARGE = "hub-body-too-large",
        "The body is longer than the {max} bytes that are accepted here. Make it smaller; see /openapi.json for what belongs into it",
        "请求体超过此处接受的 {max} 字节。请缩小；应包含的内容见 /openapi.json";
    BODY_TOO_SLOW = "hub-body-too-slow",
        "The body did not arrive within {seconds} s. Repeat it; an upload goes on where it was cut",
        "请求体未在 {seconds} 秒内到达。请重试；上传会从中断处继续";
    BODY_BROKEN = "hub-body-broken",
        "The body ended early: {why}. Repeat it; an upload goes on where it was cut",
        "请求体提前结束：{why}。请重试；上传会从中断处继续";
    WRONG_MEDIA_TYPE = "hub-wrong-media-type",
        "A body of the type {found} is not accepted here. Send it as {expected}",
        "此处不接受类型为 {found} 的请求体。请以 {expected} 发送";
    NO_ROUTE = "hub-no-route",
        "There is nothing at {path}. See /openapi.json for what there is",
        "{path} 不存在。可用地址见 /openapi.json";
    NO_METHOD = "hub-no-method",
        "{method} is not possible at {path}. See /openapi.json for what is",
        "{path} 不支持 {method}。可用方法见 /openapi.json";
    TOKEN_MISSING = "hub-token-missing",
        "This needs an API token. Send it as Authorization: Bearer TOKEN, or run hubctl login. The first one is in admin.token in the hub's state directory",
        "需要 API 令牌。请以 Authorization: Bearer TOKEN 发送，或执行 hubctl login。首个令牌在中心状态目录的 admin.token 中";
    TOKEN_WRONG = "hub-token-wrong",
        "The API token is not known here, or its time is over. Get a new one from an admin of the hub and run hubctl login",
        "API 令牌未知或已过期。请向中心管理员获取新的令牌，并执行 hubctl login";
    TOO_MANY_ATTEMPTS = "hub-too-many-attempts",
        "Too many wrong tokens came from your address. Try again in {seconds} s",
        "来自该地址的错误令牌过多。请在 {seconds} 秒后重试";
    DENIED = "hub-denied",
        "The role of API token {name} does not allow this. Ask an admin of the hub for another role",
        "API 令牌 {name} 的角色不允许此操作。请向中心管理员申请其他角色";
    STALE = "hub-stale",
        "{what} was changed meanwhile: it has revision {found}, you saw {seen}. Look at it again and repeat the change",
        "{what} 已被修改：当前修订为 {found}，而看到的是 {seen}。请重新查看后再次提交修改";
    TOO_MANY = "hub-too-many",
        "There may be at most {max} {what}. Remove some that are not needed",
        "{what} 最多 {max} 个。请删除不需要的";
    TOO_MANY_READERS = "hub-too-many-readers",
        "{max} watches are open already. Close one, or try again later",
        "已有 {max} 个持续观察的连接。请关闭一个，或稍后重试";
    BAD_TTL = "hub-bad-ttl",
        "The time must be from 1 to {max} seconds",
        "有效期必须在 1 到 {max} 秒之间";
    BAD_LABEL = "hub-bad-label",
        "{label} is not a label. Use A-Z a-z 0-9 . _ / - in the key, letters, digits, spaces and . _ / - : + @ in the value, each at most {max} bytes",
        "{label} 不是有效标签。键可用 A-Z a-z 0-9 . _ / -，值可用文字、数字、空格和 . _ / - : + @，各不超过 {max} 字节";
    BAD_SELECTOR = "hub-bad-selector",
        "{part} is no condition on a label. Write key=value, key!=value, key or !key, with commas between them",
        "{part} 不是标签条件。请写成 key=value、key!=value、key 或 !key，用逗号分隔";
    RELEASE_TOO_LARGE = "hub-release-too-large",
        "The release has {size} bytes, allowed are {max}. Move large configs into a volume or an image",
        "发布包有 {size} 字节，上限为 {max}。请把较大的配置移到卷或镜像中";
    RELEASE_UNREADABLE = "hub-release-unreadable",
        "These bytes are not a signed release: {why}. Publish with hubctl publish of the same version as the hub",
        "这些字节不是已签名的发布包：{why}。请使用与中心同版本的 hubctl publish 发布";
    RELEASE_UNFIT = "hub-release-unfit",
        "Release {app}@{version} contradicts itself: {why}. Publish it again from its manifest",
        "发布包 {app}@{version} 自相矛盾：{why}。请从其清单重新发布";
    BLOBS_MISSING = "hub-blobs-missing",
        "{missing} blobs of {app}@{version} are not at the hub ({blobs}). Upload them or ingest the image, then publish again",
        "中心缺少 {app}@{version} 的 {missing} 个数据块（{blobs}）。请上传或摄取镜像后再次发布";
    VERSION_TAKEN = "hub-version-taken",
        "{app}@{version} was published with other content ({id}). A version means one thing for ever: publish under a new version",
        "{app}@{version} 已以其他内容发布（{id}）。一个版本永远只对应一份内容：请使用新的版本号发布";
    IMAGE_DIFFERS = "hub-image-differs",
        "The image {image} is not as the release describes it: other layers or another platform. Publish again with hubctl, which reads the image anew",
        "镜像 {image} 与发布包的描述不符：层或平台不同。请用 hubctl 重新发布，它会重新读取镜像";
    RELEASE_NOT_FOUND = "hub-release-not-found",
        "There is no release {release}. See hubctl get releases",
        "没有发布包 {release}。请查看 hubctl get releases";
    RELEASE_BAD_REFERENCE = "hub-release-bad-reference",
        "{release} names no release. Write app@version, or its id as sha256:…",
        "{release} 不是发布包的名称。请写成 app@version，或以 sha256:… 写出其编号";
    RELEASE_OTHER_APP = "hub-release-other-app",
        "Release {release} is one of {found}, not of {app}",
        "发布包 {release} 属于 {found}，而不是 {app}";
    RELEASE_DEPLOYED = "hub-release-deployed",
        "{release} is what {deployments} bring to their nodes. Deploy another release there, or take them away with hubctl undeploy; then unpublish it",
        "{deployments} 正在把 {release} 部署或预取到节点。请在那里部署其他发布包，或用 hubctl undeploy 删除这些部署，然后再撤回它";
    RELEASE_WAY_BACK = "hub-release-way-back",
        "{release} is what {deployments} would roll back to. Unpublish it after the next release was deployed there, or after hubctl undeploy",
        "{deployments} 回滚时需要 {release}。请在那里部署下一个发布包之后，或执行 hubctl undeploy 之后，再撤回它";
    RELEASE_ON_NODES = "hub-release-on-nodes",
        "{release} is on {nodes}, or they may go back to it. Unpublish it when they run another release; see hubctl describe node. One that never comes back is forgotten with hubctl node delete",
        "{nodes} 上有 {release}，或可能回退到它。请等它们运行其他发布包后再撤回；可用 hubctl describe node 查看。不再回来的节点请用 hubctl node delete 删除";
    PUBLISHER_NAME_TAKEN = "hub-publisher-name-taken",
        "Publisher {name} has another key. Register this one under a new name, or remove the old one first",
        "发布者 {name} 已有另一个密钥。请用新名称登记，或先删除旧的";
    PUBLISHER_KEY_TAKEN = "hub-publisher-key-taken",
        "This key is registered already, as {name}",
        "该密钥已登记为 {name}";
    PUBLISHER_UNKNOWN = "hub-publisher-unknown",
        "The hub does not know the publisher key {keys}. Register it: hubctl publisher add NAME KEY; or sign with a registered one: --key FILE",
        "中心不认识发布者密钥 {keys}。请登记：hubctl publisher add 名称 公钥；或用 --key 指定已登记的密钥";
    PUBLISHER_NOT_FOUND = "hub-publisher-not-found",
        "There is no publisher {name}. See hubctl get publishers",
        "没有发布者 {name}。请查看 hubctl get publishers";
    DEPLOYMENT_NOT_FOUND = "hub-deployment-not-found",
        "There is no deployment {name}. See hubctl get deployments",
        "没有部署 {name}。请查看 hubctl get deployments";
    BUDGET_NOT_FOUND = "hub-budget-not-found",
        "There is no budget {name}. See hubctl get budgets",
        "没有预算 {name}。请查看 hubctl get budgets";
    DEPLOYMENT_OTHER_APP = "hub-deployment-other-app",
        "Deployment {name} is one of the app {app} and stays so. Choose another name, or undeploy it first",
        "部署 {name} 属于应用 {app}，不能更改。请使用其他名称，或先删除该部署";
    DEPLOYMENT_OTHER_KIND = "hub-deployment-other-kind",
        "Deployment {name} runs its app and cannot become a prefetch, or is a prefetch and cannot run. Use another name: --name",
        "部署 {name} 用于运行应用，不能改为预取；或它是预取，不能用于运行。请用 --name 指定其他名称";
    DEPLOYMENT_BAD_TARGET = "hub-deployment-bad-target",
        "The target cannot be used: {why}. Name nodes, or labels that nodes have",
        "部署目标无法使用：{why}。请指定节点名，或节点具有的标签";
    DEPLOYMENT_NO_PLATFORM = "hub-deployment-no-platform",
        "{app}@{version} was not published for the platform of {nodes}. It is there for {published}. Publish it for that platform too, or choose other nodes",
        "{app}@{version} 没有为 {nodes} 的平台发布，只有 {published}。请为该平台发布，或选择其他节点";
    DEPLOYMENT_NO_EARLIER = "hub-deployment-no-earlier",
        "Deployment {name} never had another release. Deploy one with hubctl deploy",
        "部署 {name} 没有更早的发布包。请用 hubctl deploy 部署";
    DEPLOYMENT_NOT_IN_HISTORY = "hub-deployment-not-in-history",
        "{release} is not in the history of deployment {name}. See hubctl describe deployment {name}, or deploy it with hubctl deploy",
        "{release} 不在部署 {name} 的历史中。请查看 hubctl describe deployment {name}，或用 hubctl deploy 部署";
    NODE_FULL = "hub-node-full",
        "Node {node} has {max} apps already, the most one node may have. Undeploy one of them first",
        "节点 {node} 已有 {max} 个应用，达到上限。请先删除其中一个部署";
    NODE_NOT_FOUND = "hub-node-not-found",
        "There is no node {name}. See hubctl get nodes; a new one joins with hubctl token create {name}",
        "没有节点 {name}。请查看 hubctl get nodes；新节点用 hubctl token create {name} 接入";
    NODE_NOT_CONNECTED = "hub-node-not-connected",
        "Node {node} is not connected now. Its apps run on; try again when it is back",
        "节点 {node} 当前未连接。其应用仍在运行；请在恢复连接后重试";
    NODE_SILENT = "hub-node-silent",
        "Node {node} is connected but did not answer in time. Try again; its line may be slow",
        "节点 {node} 已连接但没有及时应答。请重试；线路可能较慢";
    NODE_IS_REVOKED = "hub-node-is-revoked",
        "Node {node} was revoked. It comes back only with a new join token: hubctl token create {node}",
        "节点 {node} 已被吊销。只有使用新的接入令牌才能恢复：hubctl token create {node}";
    NODE_OTHER_CERTIFICATE = "hub-node-other-certificate",
        "Node {node} joined again elsewhere: this certificate is no longer its own. If this machine shall be {node}, join it with a new token",
        "节点 {node} 已在别处重新接入：此证书不再有效。如果这台机器应为 {node}，请用新令牌重新接入";
    NODE_AHEAD = "hub-node-ahead",
        "Node {node} holds state {held}, newer than {wanted}, the newest this hub knows. Was the hub restored from a backup? Then stop it, run cloud-hub new-epoch, and start it again",
        "节点 {node} 持有状态 {held}，比本中心已知的最新状态 {wanted} 更新。中心是否从备份恢复？若是，请停止中心，执行 cloud-hub new-epoch，然后重新启动";
    NODE_DIFFERS = "hub-node-differs",
        "Node {node} holds state {held} with other content than this hub signed as {wanted}. Two hubs use the same key: stop one of them, run cloud-hub new-epoch on the other",
        "节点 {node} 持有的状态 {held} 与本中心签发的 {wanted} 内容不同。有两个中心在使用同一密钥：请停止其中一个，并在另一个上执行 cloud-hub new-epoch";
    NODE_UNREADABLE = "hub-node-unreadable",
        "A message of node {node} cannot be read here: {why}. If the node is newer than the hub, update the hub",
        "无法读取节点 {node} 的消息：{why}。如果节点版本比中心新，请升级中心";
    JOURNAL_GAP = "hub-journal-gap",
        "Entries {from} to below {below} of the journal of {node} never came. The node may have lost part of its disk",
        "节点 {node} 的事件记录中编号 {from} 至 {below}（不含）的条目从未到达。节点可能丢失了部分磁盘数据";
    BLOB_NOT_ASSIGNED = "hub-blob-not-assigned",
        "Blob {blob} belongs to no release that is assigned to node {node}",
        "数据块 {blob} 不属于分配给节点 {node} 的任何发布包";
    BLOB_BEYOND_END = "hub-blob-beyond-end",
        "Byte {offset} of blob {blob} was asked for, which has {size} bytes",
        "请求了数据块 {blob} 的第 {offset} 字节，但它只有 {size} 字节";
    LAYER_GONE = "hub-layer-gone",
        "The hub no longer has the data of layer {layer}. Publish its release again, with its images",
        "中心已没有层 {layer} 的数据。请连同镜像重新发布其发布包";
    LAYER_DAMAGED = "hub-layer-damaged",
        "Layer {layer} cannot be made ready for nodes: {cause}. Check the disk of the hub's state directory, then publish its release again, with its images",
        "无法为节点准备层 {layer}：{cause}。请检查中心状态目录所在的磁盘，然后连同镜像重新发布其发布包";
    LAYER_TOO_LARGE = "hub-layer-too-large",
        "Layer {layer} has more pieces than can be kept of one layer: that is about 32 GB of files. Build the image with this layer split into several",
        "层 {layer} 的数据块超过单层上限（约 32 GB 文件）。请重新构建镜像，将该层拆分为多层";
    PATCH_CACHE_FULL = "hub-patch-cache-full",
        "A patch of {size} does not fit beside those that were used a moment ago; {max} are kept in all. It is tried again by itself; if it stays so, raise images.patch_cache in the hub's configuration",
        "一个 {size} 的补丁放不下：刚刚用过的补丁已占满 {max} 的缓存。系统会自动重试；如果持续如此，请在中心配置中调大 images.patch_cache";
    TOO_MANY_LOGS = "hub-too-many-logs",
        "{max} logs ({per_node} per node) are read at the same time at most. Close one and try again",
        "最多同时读取 {max} 个日志（每个节点 {per_node} 个）。请关闭一个后重试";
    JOIN_TOKEN_NOT_FOUND = "hub-join-token-not-found",
        "No join token waits for node {node}. It was used, removed or never made",
        "没有等待节点 {node} 使用的接入令牌：已被使用、删除或从未创建";
    ENROLL_REFUSED = "hub-enroll-refused",
        "This join token is worth nothing for this node: it was used, replaced or removed, or is for another node. Make a new one at the hub: hubctl token create NODE",
        "此接入令牌对该节点无效：已被使用、替换、删除，或属于其他节点。请在中心新建：hubctl token create NODE";
    ENROLL_EXPIRED = "hub-enroll-expired",
        "The join token for {node} has expired. Make a new one at the hub: hubctl token create {node}",
        "节点 {node} 的接入令牌已过期。请在中心新建：hubctl token create {node}";
    API_TOKEN_TAKEN = "hub-api-token-taken",
        "There is an API token {name} already. Choose another name, or remove it first",
        "API 令牌 {name} 已存在。请使用其他名称，或先删除";
    API_TOKEN_NOT_FOUND = "hub-api-token-not-found",
        "There is no API token {name}",
        "没有 API 令牌 {name}";
    LAST_ADMIN = "hub-last-admin",
        "This is the last API token of an admin without an end. Make another one first, or nobody could manage the hub",
        "这是最后一个长期有效的管理员 API 令牌。请先新建一个，否则将无人能管理中心";
    BAD_PLATFORM = "hub-bad-platform",
        "{platform} is not a platform. Write os/architecture or os/architecture/variant, for example linux/arm64",
        "{platform} 不是平台。请写成 os/architecture 或 os/architecture/variant，例如 linux/arm64";
    PUBLISHED = "hub-published",
        "{by} published {app}@{version}",
        "{by} 发布了 {app}@{version}";
    UNPUBLISHED = "hub-unpublished",
        "{by} unpublished {app}@{version}",
        "{by} 撤回了 {app}@{version}";
    PUBLISHER_ADDED = "hub-publisher-added",
        "{by} registered publisher {name} (key {key})",
        "{by} 登记了发布者 {name}（密钥 {key}）";
    PUBLISHER_REMOVED = "hub-publisher-removed",
        "{by} removed publisher {name}",
        "{by} 删除了发布者 {name}";
    DEPLOYED = "hub-deployed",
        "{by} deployed {app}@{version} as {deployment} (revision {revision})",
        "{by} 部署了 {app}@{version}，部署名 {deployment}（修订 {revision}）";
    PREFETCHED = "hub-prefetched",
        "{by} has {app}@{version} prefetched as {deployment} (revision {revision})",
        "{by} 预取 {app}@{version}，部署名 {deployment}（修订 {revision}）";
    RETARGETED = "hub-retargeted",
        "{by} changed the nodes of {deployment} ({app}@{version}, revision {revision})",
        "{by} 更改了 {deployment} 的节点（{app}@{version}，修订 {revision}）";
    UNDEPLOYED = "hub-undeployed",
        "{by} took away deployment {deployment} of {app}",
        "{by} 删除了应用 {app} 的部署 {deployment}";
    BUDGET_SET = "hub-budget-set",
        "{by} set budget {budget} (revision {revision})",
        "{by} 设置了预算 {budget}（修订 {revision}）";
    BUDGET_REMOVED = "hub-budget-removed",
        "{by} took away budget {budget}",
        "{by} 删除了预算 {budget}";
    NODE_ENROLLED = "hub-node-enrolled",
        "Node {node} joined with a token of {by}",
        "节点 {node} 使用 {by} 创建的令牌接入";
    NODE_LABELLED = "hub-node-labelled",
        "{by} changed the labels of node {node}",
        "{by} 更改了节点 {node} 的标签";
    NODE_REVOKED = "hub-node-revoked",
        "{by} revoked node {node}",
        "{by} 吊销了节点 {node}";
    NODE_REMOVED = "hub-node-removed",
        "{by} removed node {node}",
        "{by} 删除了节点 {node}";
    JOIN_TOKEN_MADE = "hub-join-token-made",
        "{by} made a join token for node {node}",
        "{by} 为节点 {node} 创建了接入令牌";
    JOIN_TOKEN_REMOVED = "hub-join-token-removed",
        "{by} removed the join token of node {node}",
        "{by} 删除了节点 {node} 的接入令牌";
    API_TOKEN_MADE = "hub-api-token-made",
        "{by} made API token {name}",
        "{by} 创建了 API 令牌 {name}";
    API_TOKEN_REMOVED = "hub-api-token-removed",
        "{by} removed API token {name}",
        "{by} 删除了 API 令牌 {name}";
    GATE_LISTEN_FAILED = "hub-gate-listen-failed",
        "Listening for nodes on {address} failed: {cause}. Free the address, or set another one as gate.listen in /etc/causeway/hub.toml",
        "在 {address} 上监听节点失败：{cause}。请释放该地址，或在 /etc/causeway/hub.toml 的 gate.listen 中设置其他地址";
    GATE_TLS_FAILED = "hub-gate-tls-failed",
        "The TLS settings for nodes cannot be used: {cause}. Check the certificates in the hub's ca directory",
        "无法使用面向节点的 TLS 设置：{cause}。请检查中心 ca 目录中的证书";
    BROKER_DOWN = "hub-broker-down",
        "The router for other MQTT clients of the center is being rebuilt ({cause}). Nodes are not affected; the client may connect again",
        "面向中心其他 MQTT 客户端的路由正在重建（{cause}）。节点不受影响，客户端可重新连接";
}
