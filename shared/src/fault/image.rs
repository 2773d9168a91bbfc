//! Texts of the area `image`: getting images from registries and archives.

super::texts! {
    BLOB_UNKNOWN = "image-blob-unknown",
        "Blob {blob} is not here. Publish the release again from a machine that has the image",
        "此处没有数据块 {blob}。请在拥有该镜像的机器上重新发布";
    BLOB_DIFFERS = "image-blob-differs",
        "Blob {blob} arrived twice with bytes that do not fit its digest; they were thrown away. Check the hub's disk, and publish the release again",
        "数据块 {blob} 两次收到的内容都与其摘要不符，已丢弃。请检查中心磁盘，并重新发布";
    BLOB_SILENT = "image-blob-silent",
        "No bytes of blob {blob} came from byte {offset} on, although the link is up ({failures} attempts). What arrived is kept and the node goes on from there by itself",
        "链路正常，但数据块 {blob} 从字节 {offset} 起没有收到数据（已尝试 {failures} 次）。已收到的内容会保留，节点会自动续传";
    DOCUMENT_TOO_LARGE = "image-document-too-large",
        "The manifest or config {blob} of the image has {size} bytes, {limit} are the most. Rebuild the image with fewer labels and history entries",
        "镜像的清单或配置 {blob} 有 {size} 字节，上限为 {limit}。请减少标签与历史记录后重新构建镜像";
    TOO_MANY_LAYERS = "image-too-many-layers",
        "Image {image} has {layers} layers, {limit} are the most. Rebuild it with fewer steps",
        "镜像 {image} 有 {layers} 层，上限为 {limit}。请减少构建步骤后重新构建";
    DISK_FULL = "image-disk-full",
        "The disk is full: {need} bytes more are needed in {path}, {free} are free. Make room or remove an app; the node goes on from where it stopped",
        "磁盘已满：{path} 还需要 {need} 字节，剩余 {free} 字节。请清理空间或移除应用，节点会从中断处继续";
    BLOBS_IN_USE = "image-blobs-in-use",
        "Another process uses {path}. Only one edge-node may run per state directory: systemctl status edge-node",
        "{path} 正被另一个进程使用。每个状态目录只能运行一个 edge-node：systemctl status edge-node";
    BLOBS_FAILED = "image-blobs-failed",
        "{doing} {path} failed: {cause}. Check the disk; the node tries again by itself",
        "{doing} {path} 失败：{cause}。请检查磁盘，节点会自动重试";
    BLOB_DAMAGED = "image-blob-damaged",
        "Blob {blob} was damaged on this disk and thrown away; the node fetches it again by itself. If this comes again, check the disk",
        "数据块 {blob} 在本机磁盘上已损坏并被丢弃，节点会自动重新获取。若反复出现，请检查磁盘";
    IMAGE_EMPTY = "image-empty",
        "Image {image} has no layers, so there is nothing to run. Publish another image",
        "镜像 {image} 没有任何层，无法运行。请发布其他镜像";
    DOCUMENTS_DIFFER = "image-documents-differ",
        "Manifest and config of image {image} do not say what the signed release says ({what}). Publish the release again",
        "镜像 {image} 的清单和配置与已签名的发布包不一致（{what}）。请重新发布";
    LAYER_UNKNOWN = "image-layer-unknown",
        "Layer {layer} is not here. The node fetches it again by itself; if this comes again, publish the release again",
        "此处没有层 {layer}，节点会自动重新获取。若反复出现，请重新发布";
    PACK_DAMAGED = "image-pack-damaged",
        "The stored copy of layer {layer} was damaged on this disk and thrown away; the node fetches it again by itself. If this comes again, check the disk",
        "层 {layer} 的本地副本在本机磁盘上已损坏并被丢弃，节点会自动重新获取。若反复出现，请检查磁盘";
    NO_ROOM = "image-no-room",
        "Image {image} was not fetched: it needs {need} in {path} (on its way {patch}, packs {packs}, unpacked {files}) and {reserve} must stay free, but only {free} are free. Make room or remove an app; the node tries again by itself",
        "未获取镜像 {image}：{path} 需要 {need}（传输中 {patch}，分层包 {packs}，解包后 {files}），且须保留 {reserve}，但仅剩 {free}。请清理空间或移除应用，节点会自动重试";
    PATCH_UNFIT = "image-patch-unfit",
        "What the hub sent does not make layer {layer}: {why}. The node tries again by itself; if this comes again, publish the release again",
        "中心发送的内容无法生成层 {layer}：{why}。节点会自动重试；若反复出现，请重新发布";
    LAYER_DIFFERS = "image-layer-differs",
        "Layer {layer} unpacks to other content ({got}) than was signed ({signed}). Nothing of it was kept. Publish the release again",
        "层 {layer} 解包后的内容（{got}）与签名的内容（{signed}）不符，未保留任何文件。请重新发布";
    LAYER_LONGER = "image-layer-longer",
        "Layer {layer} unpacks to more than the signed {signed} bytes and was stopped there. Publish the release again",
        "层 {layer} 解包后超过签名的 {signed} 字节，已停止。请重新发布";
    LAYER_BROKEN = "image-layer-broken",
        "The compressed data of layer {layer} is broken: {cause}. Publish the release again",
        "层 {layer} 的压缩数据已损坏：{cause}。请重新发布";
    LAYER_WRITE = "image-layer-write",
        "Layer {layer}: {doing} {entry} failed: {cause}. The node tries again by itself",
        "层 {layer}：{doing} {entry} 失败：{cause}。节点会自动重试";
    LAYER_FULL = "image-layer-full",
        "The disk is full: layer {layer} stopped at {entry}. Make room or remove an app; the node tries again by itself",
        "磁盘已满：层 {layer} 在 {entry} 处停止。请清理空间或移除应用，节点会自动重试";
    LAYER_STOPPED = "image-layer-stopped",
        "Unpacking layer {layer} was cancelled. The node does it again when the image is wanted",
        "层 {layer} 的解包已取消。需要该镜像时节点会重新解包";
    TAR_MALFORMED = "image-tar-malformed",
        "Layer {layer} is not a well-formed tar at byte {at}: {why}. Rebuild the image",
        "层 {layer} 在字节 {at} 处不是合法的 tar：{why}。请重新构建镜像";
    ENTRY_ESCAPES = "image-entry-escapes",
        "Layer {layer}: {entry} has '..' or a NUL in its path. Rebuild the image without it",
        "层 {layer}：{entry} 的路径含有 '..' 或 NUL。请去掉后重新构建镜像";
    ENTRY_TOO_LONG = "image-entry-too-long",
        "Layer {layer}: the path {entry} is too long (4095 bytes, 255 per name). Rebuild the image with shorter paths",
        "层 {layer}：路径 {entry} 过长（最多 4095 字节，每段 255 字节）。请缩短路径后重新构建镜像";
    ENTRY_TOO_DEEP = "image-entry-too-deep",
        "Layer {layer}: {entry} lies more than 128 directories deep. Rebuild the image with a flatter tree",
        "层 {layer}：{entry} 的目录层级超过 128。请减少层级后重新构建镜像";
    ENTRY_TOO_MANY = "image-entry-too-many",
        "Layer {layer} has more than 1000000 entries, the first too many is {entry}. Split the layer or leave files out",
        "层 {layer} 的条目超过 1000000 个，第一个超限的是 {entry}。请拆分该层或减少文件";
    ENTRY_SPARSE = "image-entry-sparse",
        "Layer {layer}: {entry} is a sparse file in GNU's format, which images must not use. Rebuild the image with a current builder",
        "层 {layer}：{entry} 是 GNU 稀疏文件，镜像不允许使用。请用较新的构建工具重新构建镜像";
    ENTRY_BLOCK_DEVICE = "image-entry-block-device",
        "Layer {layer}: {entry} is a block device. Rebuild the image without it; give the service a device in its manifest instead",
        "层 {layer}：{entry} 是块设备。请从镜像中去掉它，并在应用清单中为服务声明设备";
    ENTRY_UNKNOWN = "image-entry-unknown",
        "Layer {layer}: {entry} is of a kind that images do not have. Rebuild the image with a current builder",
        "层 {layer}：{entry} 的类型不属于镜像规范。请用较新的构建工具重新构建镜像";
    ENTRY_OWNER = "image-entry-owner",
        "Layer {layer}: {entry} belongs to a user or group number above 2147483647. Rebuild the image with a smaller number",
        "层 {layer}：{entry} 的用户或用户组编号超过 2147483647。请使用较小的编号重新构建镜像";
    ENTRY_TRUSTED = "image-entry-trusted",
        "Layer {layer}: {entry} carries a trusted.* attribute, which only the node itself may set. Rebuild the image without it",
        "层 {layer}：{entry} 带有 trusted.* 扩展属性，该属性只能由节点自己设置。请去掉后重新构建镜像";
    ENTRY_LINK = "image-entry-link",
        "Layer {layer}: {entry} is a link to something that is not in this layer. Rebuild the image",
        "层 {layer}：{entry} 链接的目标不在该层中。请重新构建镜像";
    ENTRY_NOT_DIRECTORY = "image-entry-not-directory",
        "Layer {layer}: {entry} lies below something that is not a directory. Rebuild the image",
        "层 {layer}：{entry} 的上级不是目录。请重新构建镜像";
    ENTRY_WHITEOUT = "image-entry-whiteout",
        "Layer {layer}: {entry} is a whiteout of no name. Rebuild the image",
        "层 {layer}：{entry} 是没有名称的删除标记。请重新构建镜像";
    SERVICE_WITHOUT_IMAGE = "image-service-without-image",
        "The release names no image for service {service}. Publish it again",
        "该发布包没有为服务 {service} 指定镜像。请重新发布";
    BAD_REFERENCE = "image-bad-reference",
        "{reference} is no image reference: {why}. Write registry/name:tag or registry/name@sha256:…, without https://",
        "{reference} 不是镜像引用：{why}。请写成 registry/name:tag 或 registry/name@sha256:…，不带 https://";
    NOT_FOUND = "image-not-found",
        "{reference} is not in its registry. Check name and tag",
        "镜像仓库中没有 {reference}。请检查名称和标签";
    UNAUTHORIZED = "image-unauthorized",
        "The registry does not give {reference} to this user. Give user and password: --registry-user, CAUSEWAY_REGISTRY_PASSWORD; a wrong name looks the same",
        "镜像仓库拒绝向该用户提供 {reference}。请用 --registry-user 和 CAUSEWAY_REGISTRY_PASSWORD 给出用户名和密码；名称写错时也会出现此提示";
    REGISTRY_UNREACHABLE = "image-registry-unreachable",
        "Registry {registry} cannot be reached: {cause}. Check network, name and certificate; a registry without HTTPS must stand in images.plain_http of the hub's configuration",
        "无法连接镜像仓库 {registry}：{cause}。请检查网络、名称和证书；没有 HTTPS 的仓库须列入中心配置的 images.plain_http";
    REGISTRY_BUSY = "image-registry-busy",
        "Registry {registry} is busy (HTTP {status}). Try again later; what was fetched already is kept",
        "镜像仓库 {registry} 繁忙（HTTP {status}）。请稍后重试；已获取的部分会保留";
    REGISTRY_TOO_SLOW = "image-registry-too-slow",
        "Registry {registry} sends too slowly. Try again; what was fetched already is kept",
        "镜像仓库 {registry} 发送过慢。请重试；已获取的部分会保留";
    REGISTRY_REFUSED = "image-registry-refused",
        "Registry {registry} refused (HTTP {status}): {message}. Ask its operator",
        "镜像仓库 {registry} 拒绝了请求（HTTP {status}）：{message}。请联系其管理员";
    DOCUMENT = "image-document",
        "{what} cannot be read: {why}. Build or export the image again",
        "无法读取 {what}：{why}。请重新构建或导出镜像";
    SCHEMA_1 = "image-schema-1",
        "{what} is in Docker's old schema 1. Pull and push it again with a current tool",
        "{what} 使用 Docker 的旧格式 schema 1。请用当前版本的工具重新拉取并推送";
    NOT_AN_IMAGE = "image-not-an-image",
        "This is an artifact of type {type}, not a container image. Name an image",
        "这是类型为 {type} 的制品，不是容器镜像。请指定容器镜像";
    TOO_MANY = "image-too-many",
        "{what} has more than {max} {of}. Split it or build it with fewer",
        "{what} 超过上限：最多 {max}（{of}）。请拆分或减少数量后重新构建";
    TOO_LARGE = "image-too-large",
        "{what} has more than {max} bytes. Make it smaller",
        "{what} 超过 {max} 字节。请缩小";
    FOREIGN_LAYER = "image-foreign-layer",
        "Layer {digest} may not be passed on ({type}), so its bytes lie elsewhere. Build the image on a base without such layers",
        "层 {digest} 不允许转发（{type}），其内容存放在别处。请使用不含此类层的基础镜像构建";
    LAYER_TYPE = "image-layer-type",
        "Layer {digest} has the type {type}; supported are tar, tar+gzip and tar+zstd. Build the image with one of these",
        "层 {digest} 的类型为 {type}；支持 tar、tar+gzip 和 tar+zstd。请使用其中一种构建镜像";
    NO_PLATFORM = "image-no-platform",
        "There is no image for {wanted}; there are: {available}. Build it for this platform, or publish for another one",
        "没有适用于 {wanted} 的镜像；现有平台：{available}。请为该平台构建镜像，或发布到其他平台";
    AMBIGUOUS = "image-ambiguous",
        "Several images fit: {names}. Say which one by its name",
        "有多个镜像符合：{names}。请用名称指定其中一个";
    NO_NAME = "image-no-name",
        "No image is named {name}; there are: {names}",
        "没有名为 {name} 的镜像；现有：{names}";
    MISSING = "image-missing-blob",
        "Blob {digest} is missing. Export the image again, with all its layers",
        "缺少数据块 {digest}。请重新导出镜像，并包含所有层";
    WRONG_DIGEST = "image-wrong-digest",
        "Blob {expected} was changed: its digest is {found}. Get the image again; if it happens again, do not trust the source",
        "数据块 {expected} 已被改动：实际摘要为 {found}。请重新获取镜像；若再次出现，请勿信任该来源";
    WRONG_SIZE = "image-wrong-size",
        "Blob {digest} shall have {expected} bytes and has {found}. Get the image again",
        "数据块 {digest} 应有 {expected} 字节，实际为 {found}。请重新获取镜像";
    WRONG_DIFF_ID = "image-wrong-diff-id",
        "Layer {layer} unpacks to {found}, but the image's config says {expected}. The image is inconsistent: build it again",
        "层 {layer} 解包后为 {found}，但镜像配置要求 {expected}。镜像自相矛盾：请重新构建";
    LAYER_COUNT = "image-layer-count",
        "The image has {layers} layers, but its config names {diff_ids}. Build it again",
        "镜像有 {layers} 层，但其配置列出 {diff_ids} 层。请重新构建";
    BAD_LAYER = "image-bad-layer",
        "Layer {layer} cannot be unpacked: {why}. Build the image again",
        "无法解包层 {layer}：{why}。请重新构建镜像";
    BOMB = "image-bomb",
        "Layer {layer} grows beyond {max} bytes when it is unpacked, which its size does not explain. Build the image again with less in this layer",
        "层 {layer} 解包后超过 {max} 字节，与其大小不符。请减少该层内容后重新构建";
    NOT_AN_ARCHIVE = "image-not-an-archive",
        "This is no image archive: {why}. Use an OCI layout (directory or tar) or the output of docker save",
        "这不是镜像归档：{why}。请使用 OCI 布局（目录或 tar）或 docker save 的输出";
    BAD_ARCHIVE = "image-bad-archive",
        "The archive is damaged at byte {at}: {why}. Export it again",
        "归档在第 {at} 字节处损坏：{why}。请重新导出";
    DUPLICATE = "image-archive-duplicate",
        "{name} stands twice in the archive, so nobody can say which one is meant. Export it again",
        "归档中 {name} 出现两次，无法确定应使用哪一个。请重新导出";
    LINK = "image-archive-link",
        "{name} is a link to {target} where content is needed. Export the image again as plain files",
        "{name} 是指向 {target} 的链接，而此处需要实际内容。请以普通文件重新导出镜像";
    IO = "image-io",
        "The disk failed while {doing}: {cause}. Check the disk and its free space",
        "磁盘在 {doing} 时出错：{cause}。请检查磁盘及其剩余空间";
}
