import { expect, test } from "vitest";
import { frameReader, frames } from "./frames";

const WIRE = ': hello\n\nevent: event\nid: 1-7\ndata: {"a":\ndata: 1}\n\nevent:caught-up\ndata: {}\n\n';
const READ = [
  { event: "event", id: "1-7", data: '{"a":\n1}' },
  { event: "caught-up", id: null, data: "{}" },
];

test("frames are read, comments are not", () => {
  expect(frameReader()(WIRE)).toEqual(READ);
});

test("it does not matter where the wire cuts the text", () => {
  for (let size = 1; size < 12; size += 1) {
    const read = frameReader();
    const pieces = WIRE.match(new RegExp(`[^]{1,${size}}`, "g")) ?? [];
    expect(pieces.flatMap(read)).toEqual(READ);
  }
});

test("letters that are cut in two on the wire arrive whole", async () => {
  const bytes = new TextEncoder().encode("data: Zürich\n\n");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
      controller.close();
    },
  });
  const read = [];
  for await (const piece of frames(body)) read.push(...piece);
  expect(read.map(({ data }) => data)).toEqual(["Zürich"]);
});
