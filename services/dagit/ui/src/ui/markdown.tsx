// Markdown that users wrote. HTML in it stays text, links open elsewhere, pictures are links: nothing is loaded.
import ReactMarkdown, { type Components } from "react-markdown";
import remarkGfm from "remark-gfm";

const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noreferrer noopener">
      {children}
    </a>
  ),
  img: ({ src, alt }) => (
    <a href={typeof src === "string" ? src : undefined} target="_blank" rel="noreferrer noopener">
      {alt === "" || alt === undefined ? "image" : alt}
    </a>
  ),
};

export default function Markdown({ text }: { text: string }) {
  return (
    <div className="markdown" tabIndex={0}>
      <ReactMarkdown remarkPlugins={[remarkGfm]} components={COMPONENTS}>
        {text}
      </ReactMarkdown>
    </div>
  );
}
