// The icons: strokes on a 16-pixel grid, in the colour of the text.
import type { ReactNode } from "react";

const PATHS = {
  alert: (
    <>
      <path d="M8 1.900 14.600 13.500H1.400Z" />
      <path d="M8 6.400v3.200M8 11.600v.01" />
    </>
  ),
  ban: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="m3.800 3.800 8.400 8.400" />
    </>
  ),
  calendar: (
    <>
      <rect x="2" y="3" width="12" height="11" rx="2" />
      <path d="M2 6.500h12M5.300 1.500v3M10.700 1.500v3" />
    </>
  ),
  check: <path d="m3 8.500 3.300 3.300L13 5" />,
  chevron: <path d="m6 3.500 4.500 4.500L6 12.500" />,
  clock: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M8 4.500V8l2.400 1.600" />
    </>
  ),
  code: <path d="m5.500 4-4 4 4 4M10.500 4l4 4-4 4" />,
  copy: (
    <>
      <rect x="5.500" y="5.500" width="8" height="8" rx="1.500" />
      <path d="M10.500 5.500V4A1.500 1.500 0 0 0 9 2.500H4A1.500 1.500 0 0 0 2.500 4v5A1.500 1.500 0 0 0 4 10.500h1.500" />
    </>
  ),
  cross: <path d="m4 4 8 8M12 4l-8 8" />,
  dot: <circle cx="8" cy="8" r="3.500" fill="currentColor" stroke="none" />,
  dots: <path d="M3.500 8h.01M8 8h.01M12.500 8h.01" strokeWidth="2.200" />,
  down: <path d="M8 3v9.500M4 8.500l4 4 4-4" />,
  external: (
    <path d="M9 2.500h4.500V7M13.500 2.500 7.500 8.500M12 9.500v3a1 1 0 0 1-1 1H3.500a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1h3" />
  ),
  fit: (
    <path d="M2.500 6V3.500a1 1 0 0 1 1-1H6M10 2.500h2.500a1 1 0 0 1 1 1V6M13.500 10v2.500a1 1 0 0 1-1 1H10M6 13.500H3.500a1 1 0 0 1-1-1V10" />
  ),
  info: (
    <>
      <circle cx="8" cy="8" r="6" />
      <path d="M8 7.300v3.500M8 5v.01" />
    </>
  ),
  minus: <path d="M3 8h10" />,
  monitor: (
    <>
      <rect x="1.500" y="2.500" width="13" height="9" rx="1.500" />
      <path d="M5.500 14h5" />
    </>
  ),
  moon: <path d="M13.500 9.600A5.800 5.800 0 0 1 6.400 2.500a5.800 5.800 0 1 0 7.100 7.100Z" />,
  play: <path d="M4.500 2.800v10.400L13 8Z" fill="currentColor" strokeLinejoin="round" />,
  plus: <path d="M8 3v10M3 8h10" />,
  search: (
    <>
      <circle cx="7" cy="7" r="4.500" />
      <path d="m10.500 10.500 3.500 3.500" />
    </>
  ),
  skip: <path d="m3 4 4.500 4L3 12M8.500 4 13 8l-4.500 4" />,
  spinner: <path d="M8 2a6 6 0 1 0 6 6" />,
  stop: <rect x="4" y="4" width="8" height="8" rx="1.500" fill="currentColor" stroke="none" />,
  sun: (
    <>
      <circle cx="8" cy="8" r="3" />
      <path d="M8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1.100 1.100M11.900 11.900 13 13M13 3l-1.100 1.100M4.100 11.900 3 13" />
    </>
  ),
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, spin = false }: { name: IconName; size?: number; spin?: boolean }) {
  return (
    <svg
      aria-hidden="true"
      className={spin ? "spin" : undefined}
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.600"
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      {PATHS[name]}
    </svg>
  );
}

export function Logo() {
  return (
    <svg aria-hidden="true" width="24" height="24" viewBox="0 0 32 32">
      <rect width="32" height="32" rx="8" className="logo-plate" />
      <g fill="none" stroke="#fff" strokeWidth="2.600" strokeLinecap="round">
        <path d="M9 10.500c0 6 5 5.500 7 5.500s7-.5 7-5.500" />
        <path d="M16 16v5.500" />
      </g>
      <g fill="#fff">
        <circle cx="9" cy="9" r="3.200" />
        <circle cx="23" cy="9" r="3.200" />
        <circle cx="16" cy="23.500" r="3.200" />
      </g>
    </svg>
  );
}
