"""Call tools with the public client: ``call_mcp.py ADDRESS TOKEN MODE`` reads calls from standard input.

MODE is ``auto`` (the newest revision that both sides speak), ``legacy`` (with a handshake), or the script of
mcp-remote, which then connects to the address. Each line of the input is a JSON array of a tool's name and arguments;
what came back is printed as a line. The first line names all tools.
"""

import asyncio
import json
import os
import sys

import httpx2  # type: ignore[import-not-found]
from mcp import Client  # type: ignore[import-not-found]
from mcp.client.stdio import StdioServerParameters, stdio_client  # type: ignore[import-not-found]
from mcp.client.streamable_http import streamable_http_client  # type: ignore[import-not-found]


async def main(address: str, token: str, mode: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
        if "/" in mode:
            command = [mode, address, "--silent", "--header", f"Authorization:{headers['Authorization']}"]
            transport = stdio_client(StdioServerParameters(command="node", args=command, env=dict(os.environ)))
        else:
            transport = streamable_http_client(address, http_client=http)
        async with Client(transport, mode="auto" if "/" in mode else mode) as client:
            tools = (await client.list_tools()).tools
            first = {"protocol": client.protocol_version, "server": client.server_info.name}
            print(json.dumps({**first, "tools": [tool.name for tool in tools]}), flush=True)
            loop = asyncio.get_running_loop()
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                name, arguments = json.loads(line)
                try:
                    result = await client.call_tool(name, arguments)
                    shown = result.model_dump(mode="json", by_alias=True, exclude_none=True)
                except Exception as problem:  # whatever the client makes of a refusal
                    shown = {"raised": str(problem)}
                print(json.dumps(shown), flush=True)


asyncio.run(main(*sys.argv[1:]))
