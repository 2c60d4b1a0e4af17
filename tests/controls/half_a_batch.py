"""A process that opens a batch and never commits it, as one that dies while it writes: `half_a_batch URL COUNT`."""

import asyncio
import sys

from shared.runtime import appending, log
from tests.controls.emails import a_request


async def main(url: str, count: int) -> None:
    """Write all of a batch but its commit, say so, and wait for the end."""
    client = await log.connect(url, "half")
    emails = log.Log(client)
    await emails.open()
    entries = [appending.Entry(a_request(), 0, 60) for _ in range(count)]
    opened, reply = appending._expect(emails)
    lines = [
        entry.command(
            reply if number == 1 else "", f"Nats-Batch-Id: half\r\nNats-Batch-Sequence: {number}\r\n"
        )
        for number, entry in enumerate(entries, 1)
    ]
    await emails.write(b"".join(lines))
    await opened
    await client.flush()
    print("written", flush=True)
    await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
