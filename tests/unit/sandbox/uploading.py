"""What a web client does to send files, right by default and wrong on demand."""

import hashlib
import json
import time
from typing import Any

from tests.unit.sandbox.conftest import UIN
from tests.unit.sandbox.wire import CGI, Browser, Json
from wxcontroller.sandbox.sandbox import Sandbox

CHUNK = 524_288
_BOUNDARY = "----WebKitFormBoundary0123456789"


class Uploader:
    """A browser's uploads. ``ticket`` is the data ticket."""

    def __init__(self, browser: Browser, sandbox: Sandbox) -> None:
        session = sandbox.accounts[UIN].session
        assert session is not None
        self.browser = browser
        self.ticket = session.data_ticket

    async def chunk(
        self,
        data: bytes,
        name: str,
        kind: str,
        index: int = 0,
        host: str = "",
        disposition: str = "",
        part: bytes | None = None,
        asked: Json = None,
        **fields: Any,
    ) -> Json:
        """Send one chunk; ``asked`` and ``fields`` replace parts (None: leave the part out)."""
        browser = self.browser
        count = max(1, -(-len(data) // CHUNK))
        request = {
            "UploadType": 2,
            "BaseRequest": browser.base(),
            "ClientMediaId": 1_700_000_000_000,
            "TotalLen": len(data),
            "StartPos": 0,
            "DataLen": len(data),
            "MediaType": 4,
            "FromUserName": browser.me,
            "ToUserName": "filehelper",
            "FileMd5": hashlib.md5(data).hexdigest(),
        } | (asked or {})
        parts: dict[str, Any] = {"id": "WU_FILE_0", "name": name, "type": "x/y", "lastModifiedDate": "Thu"}
        parts |= {"size": len(data)} | ({"chunks": count, "chunk": index} if count > 1 else {})
        parts |= {
            "mediatype": kind,
            "uploadmediarequest": json.dumps(request, ensure_ascii=False),
            "webwx_data_ticket": self.ticket,
            "pass_ticket": browser.values["pass_ticket"],
        }
        parts |= fields
        body = b"".join(
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in parts.items()
            if value is not None
        )
        disposition = disposition or f'form-data; name="filename"; filename="{name}"'
        content = data[index * CHUNK : (index + 1) * CHUNK] if part is None else part
        body += f"--{_BOUNDARY}\r\nContent-Disposition: {disposition}\r\nContent-Type: x/y\r\n\r\n".encode()
        body += content + f"\r\n--{_BOUNDARY}--\r\n".encode()
        url = f"http://{host or 'file.' + browser.domain}:{browser.port}{CGI}/webwxuploadmedia?f=json"
        headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
        async with browser.http.post(url, data=body, headers=headers) as response:
            return json.loads(await response.text()) if response.ok else response.status

    async def file(self, data: bytes, name: str, kind: str, **changed: Any) -> str:
        """Send a whole file; the MediaId."""
        answer: Json = None
        for index in range(max(1, -(-len(data) // CHUNK))):
            answer = await self.chunk(data, name, kind, index, **changed)
            assert answer["BaseResponse"]["Ret"] == 0, answer
        media_id: str = answer["MediaId"]
        return media_id

    async def check(self, data: bytes, name: str, **changed: Json) -> Json:
        """Ask whether the server has a file."""
        body = {
            "BaseRequest": self.browser.base(),
            "FromUserName": self.browser.me,
            "ToUserName": "filehelper",
            "FileMd5": hashlib.md5(data).hexdigest(),
            "FileSize": len(data),
            "FileName": name,
            "FileType": 7,
        }
        return await self.browser.post("webwxcheckupload", body | changed)

    async def send(self, name: str, scene: int = 0, to: str = "filehelper", **message: Json) -> Json:
        """Call a send endpoint."""
        number = str(time.time_ns())
        addressed = {
            "FromUserName": self.browser.me,
            "ToUserName": to,
            "LocalID": number,
            "ClientMsgId": number,
            **message,
        }
        body = {"BaseRequest": self.browser.base(), "Msg": addressed, "Scene": scene}
        return await self.browser.post(name, body, query="fun=async&f=json")


def appmsg(title: str, size: int, media_id: str, extension: str) -> str:
    """Write what a file is sent by; ``title`` is escaped already."""
    return (
        f"<appmsg appid='wxeb7ec651dd0aefa9' sdkver=''><title>{title}</title><des></des><action></action>"
        f"<type>6</type><content></content><url></url><lowurl></lowurl><appattach><totallen>{size}</totallen>"
        f"<attachid>{media_id}</attachid><fileext>{extension}</fileext></appattach><extinfo></extinfo></appmsg>"
    )
