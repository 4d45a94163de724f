"""Reports posted as one writes it with aiohttp, to compare with: python3 -m bench.poster BODY NUMBER PORT...

For each line of standard input, posts the file BODY so many times to each port, one at a time, and prints a line.
"""

import asyncio
import sys
from pathlib import Path

import aiohttp


async def post(web: aiohttp.ClientSession, port: str, body: bytes, number: int) -> None:
    headers = {"Content-Type": "application/json"}
    for _ in range(number):
        async with web.post(f"http://127.0.0.1:{port}/in", data=body, headers=headers) as answer:
            await answer.read()


async def main() -> None:
    body, number, ports = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), sys.argv[3:]
    async with aiohttp.ClientSession() as web:
        while await asyncio.to_thread(sys.stdin.readline):
            await asyncio.gather(*(post(web, port, body, number) for port in ports))
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
