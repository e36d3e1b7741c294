// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, test } from "vitest";
import type { Metadata } from "../api/types";
import Markdown from "./markdown";
import { isWebAddress, MetadataList } from "./metadata";

afterEach(cleanup);
const show = (metadata: Record<string, Metadata>) => render(<MetadataList metadata={metadata} />);

test("only web addresses become links", () => {
  show({ good: { kind: "url", value: "https://example.org/x" }, bad: { kind: "url", value: "javascript:alert(1)" } });
  expect(screen.getAllByRole("link").map((link) => link.getAttribute("href"))).toEqual(["https://example.org/x"]);
  expect(screen.getByText("javascript:alert(1)").tagName).toBe("CODE");
  expect(["data:text/html,x", "//evil", "http:/", "https://"].map(isWebAddress)).toEqual([false, false, false, false]);
});

test("HTML in markdown stays text, and dangerous links lead nowhere", () => {
  const { container } = render(
    <Markdown
      text={
        "# Hi\n<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n[x](javascript:alert(1)) ![p](https://e.org/p.png)"
      }
    />,
  );
  expect(container.querySelector("script, img")).toBeNull();
  expect(container.textContent).toContain("<script>alert(1)</script>");
  const links = [...container.querySelectorAll("a")].map((link) => link.getAttribute("href"));
  expect(links).toEqual(["", "https://e.org/p.png"]);
});

test("tables are shown from objects, and from columns and rows", () => {
  show({ a: { kind: "table", value: [{ n: 1 }, { n: 2, m: "x" }] } });
  expect(screen.getAllByRole("columnheader").map((cell) => cell.textContent)).toEqual(["n", "m"]);
  cleanup();
  show({ a: { kind: "table", value: { columns: ["n"], rows: [[7]] } } });
  expect(screen.getByRole("cell").textContent).toBe("7");
});

test("a long table is cut, and says by how much", () => {
  show({ a: { kind: "table", value: Array.from({ length: 60 }, (_, n) => ({ n })) } });
  expect(screen.getByText("and 10 more rows")).toBeTruthy();
});

test("whatever a value is, it is shown", () => {
  const kinds: Metadata["kind"][] = [
    "text",
    "url",
    "path",
    "json",
    "int",
    "float",
    "bool",
    "table",
    "timestamp",
    "null",
  ];
  for (const value of [null, 1, "x", [1], { a: 1 }, [[1]], true]) {
    show(Object.fromEntries(kinds.map((kind) => [kind, { kind, value }])));
    expect(screen.getAllByRole("definition")).toHaveLength(kinds.length);
    cleanup();
  }
});
