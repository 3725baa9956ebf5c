"""What registries, old programs and vendors declare files as: names of before, of kin, and of what says less."""

from collections.abc import Sequence

_ISO = (
    "video/mp4 video/x-m4v video/m4v video/quicktime video/3gpp video/3gpp2 audio/mp4 audio/x-m4a audio/m4a audio/3gpp "
    "application/mp4 video/mp4v-es video/mj2 video/x-f4v audio/x-m4b audio/x-m4p audio/mp4a-latm video/x-quicktime"
)
_MATROSKA = (
    "video/webm audio/webm video/x-matroska audio/x-matroska audio/webm;codecs=opus video/matroska audio/matroska "
    "application/x-matroska video/x-matroska-3d"
)
_OGG = (
    "audio/ogg video/ogg application/ogg audio/opus audio/x-ogg audio/vorbis audio/x-vorbis+ogg video/x-ogg "
    "audio/x-speex video/x-theora+ogg audio/x-flac+ogg audio/x-oggflac video/x-ogm+ogg application/x-ogg"
)
_HEIF = "image/heic image/heif image/heic-sequence image/heif-sequence image/x-heic"
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_WORD = f"application/msword application/vnd.ms-word application/x-msword application/vnd.msword {_DOCX}"
_EXCEL = f"application/vnd.ms-excel application/excel application/msexcel application/x-msexcel {_XLSX}"
_POWERPOINT = f"application/vnd.ms-powerpoint application/mspowerpoint application/x-mspowerpoint {_PPTX}"
_ARCHIVE = "application/zip application/x-zip-compressed application/x-zip multipart/x-zip application/x-compressed"
_ICON = "image/x-icon image/vnd.microsoft.icon image/ico image/x-ico text/ico application/ico"
_SVG = (
    "image/svg+xml text/plain text/xml application/xml image/svg application/svg+xml image/svg-xml text/xml-svg "
    "image/vnd.adobe.svg+xml text/svg"
)
_AMR = "audio/amr audio/AMR audio/x-amr audio/amr-nb audio/amr-wb audio/amr-encrypted audio/3gpp audio/3gpp2 video/3gpp"
_SCRIPT = "text/plain text/x-sh application/x-sh text/x-shellscript application/x-shellscript"
_RAW = "image/tiff image/x-adobe-dng image/DNG image/x-nikon-nef image/x-sony-arw image/x-pentax-pef image/x-dcraw"
_PHOTOSHOP = "image/vnd.adobe.photoshop application/photoshop image/x-photoshop application/x-photoshop image/x-psd"
_STREAM = "video/mp2t video/vnd.dlna.mpeg-tts"
_PLAYLIST = (
    "application/vnd.apple.mpegurl application/x-mpegURL audio/x-mpegurl audio/mpegurl application/mpegurl text/plain "
    "video/x-mpegurl"
)

DECLARED: Sequence[tuple[str, str, str]] = (
    *[(f"a.{ending}", case, _ISO) for ending in ("mp4", "m4v", "mov", "3gp", "3g2") for case in ("mp4", "mov", "3gp")],
    *[(f"a.{ending}", case, _ISO) for ending in ("m4a", "m4b", "m4r") for case in ("m4a", "mp4", "3gp")],
    *[(f"a.{ending}", "m4a", "audio/aac audio/x-aac audio/mpeg audio/mp4") for ending in ("aac", "m4a", "mp4")],
    *[(f"a.{ending}", case, _MATROSKA) for ending in ("webm", "weba", "mka", "mkv") for case in ("webm", "mkv")],
    *[(f"a.{ending}", "ogg", _OGG) for ending in ("ogg", "oga", "ogv", "opus", "spx")],
    *[(f"a.{ending}", "heic", _HEIF) for ending in ("heic", "heif", "hif")],
    ("a.avif", "avif", f"{_HEIF} image/avif image/avif-sequence"),
    *[("a.amr", case, _AMR) for case in ("amr", "amr without a binary byte", "amr-wb", "3gp")],
    ("a.awb", "amr-wb", _AMR),
    *[(name, case, f"{_WORD} application/zip") for name in ("a.docx", "a.dotx", "a.docm") for case in ("docx", "zip")],
    ("a.doc", "docx", _WORD),
    ("a.doc", "doc", _WORD),
    *[(name, case, f"{_EXCEL} application/zip") for name in ("a.xlsx", "a.xlsm", "a.xlsb") for case in ("xlsx", "zip")],
    ("a.xls", "xlsx", _EXCEL),
    ("a.xls", "doc", _EXCEL),
    *[(name, case, f"{_POWERPOINT} application/zip") for name in ("a.pptx", "a.ppsx") for case in ("pptx", "zip")],
    ("a.ppt", "pptx", _POWERPOINT),
    ("a.ppt", "doc", _POWERPOINT),
    ("a.vsdx", "zip", "application/vnd.visio application/vnd.ms-visio.drawing application/zip"),
    ("a.msg", "doc", "application/vnd.ms-outlook application/x-msg"),
    ("a.msi", "doc", "application/x-msi application/x-msdownload application/x-ole-storage"),
    ("a.apk", "jar", f"{_ARCHIVE} application/vnd.android.package-archive application/java-archive"),
    ("a.jar", "jar", f"{_ARCHIVE} application/java-archive application/x-java-archive application/x-jar"),
    ("a.epub", "epub", "application/epub+zip application/zip application/x-epub+zip"),
    ("a.odt", "odt", "application/vnd.oasis.opendocument.text application/zip"),
    ("a.zip", "zip", _ARCHIVE),
    ("a.rar", "rar", "application/x-rar-compressed application/vnd.rar application/x-rar application/x-compressed"),
    ("a.7z", "7z", "application/x-7z-compressed application/x-compressed"),
    ("a.tgz", "gz", "application/x-compressed application/x-gtar application/x-tar application/gzip application/x-tgz"),
    ("favicon.ico", "png", f"{_ICON} image/png"),
    ("a.ico", "ico", _ICON),
    ("a.cur", "cursor", f"{_ICON} image/x-win-bitmap"),
    ("a.svg", "svg", _SVG),
    ("a.svg", "svg with a prolog", _SVG),
    ("a.svg", "text", "image/svg+xml text/plain"),
    ("a.html", "html", "text/html text/plain application/xhtml+xml"),
    *[(f"a.{ending}", "html", "text/plain") for ending in ("vue", "svelte", "php", "ejs", "jinja", "xhtml", "html")],
    ("README", "html behind a comment", "text/plain"),
    ("a.md", "svg", "text/markdown text/x-markdown text/plain"),
    ("a.csv", "csv", "application/vnd.ms-excel text/csv text/plain application/csv text/x-csv application/excel"),
    ("a.tex", "text about pdf", "text/x-tex application/x-tex application/x-latex text/plain"),
    ("a.sh", "text", _SCRIPT),
    ("a.sh", "program and its archive", _SCRIPT.removeprefix("text/plain ")),
    ("a.ts", "text", f"{_STREAM} text/plain application/typescript text/vnd.trolltech.linguist"),
    ("a.ts", "xml", f"{_STREAM} text/vnd.trolltech.linguist text/xml"),
    ("a.mts", "text", f"{_STREAM} model/vnd.mts"),
    ("go.mod", "text", "audio/x-mod video/mpeg text/plain"),
    ("server.key", "text", "application/vnd.apple.keynote application/pgp-keys text/plain"),
    ("a.asx", "text", "video/x-ms-asf audio/x-ms-asx"),
    ("a.m3u8", "text", _PLAYLIST),
    *[(f"a.{ending}", "tiff", _RAW) for ending in ("dng", "nef", "arw", "pef", "tif")],
    ("a.psd", "photoshop", _PHOTOSHOP),
    ("a.txt", "text about a version of pdf", "text/plain"),
)
"""A file's name, its first bytes, and what it is declared as, types that say nothing aside.

By the registries of Windows with Office, of macOS, Android and Linux, by mime-db, and by programs of before.
"""
