import { Component, lazy, Suspense, type ReactNode } from "react";
import { Link, Navigate, Route, Routes, useLocation } from "react-router";
import { routes } from "./routes";
import { Shell } from "./shell/shell";
import { Empty, Skeleton } from "./ui/parts";
import { JobsPage } from "./pages/jobs/page";
import { RunsPage } from "./pages/runs/page";
import { SchedulePage } from "./pages/schedules/schedule";
import { SchedulesPage } from "./pages/schedules/page";

// The heavier pages come in files of their own, fetched while the first one is looked at.
const jobPage = () => import("./pages/job/page").then(({ JobPage }) => ({ default: JobPage }));
const runPage = () => import("./pages/run/page").then(({ RunPage }) => ({ default: RunPage }));
const JobPage = lazy(jobPage);
const RunPage = lazy(runPage);

/** Fetches what later pages need, once there is nothing better to do. */
export function prefetchPages() {
  setTimeout(() => void Promise.allSettled([jobPage(), runPage()]), 600);
}

export function App() {
  const { pathname } = useLocation();
  return (
    <Shell>
      <Boundary key={pathname}>
        <Suspense fallback={<Skeleton rows={8} />}>
          <Routes>
            <Route path="/" element={<Navigate to={routes.jobs} replace />} />
            <Route path="/jobs" element={<JobsPage />} />
            <Route path="/jobs/:location/:repository/:job" element={<JobPage />} />
            <Route path="/runs" element={<RunsPage />} />
            <Route path="/runs/:id" element={<RunPage />} />
            <Route path="/schedules" element={<SchedulesPage />} />
            <Route path="/schedules/:location/:repository/:name" element={<SchedulePage />} />
            <Route path="*" element={<NotFound />} />
          </Routes>
        </Suspense>
      </Boundary>
    </Shell>
  );
}

function NotFound() {
  return (
    <Empty title="There is no such page">
      <p>
        Go to <Link to={routes.jobs}>Jobs</Link>, <Link to={routes.runs}>Runs</Link> or{" "}
        <Link to={routes.schedules}>Schedules</Link>, or press Ctrl K to search.
      </p>
    </Empty>
  );
}

/** Keeps a fault of one page from taking the whole window with it. */
class Boundary extends Component<{ children: ReactNode }, { error: Error | null }> {
  override state = { error: null as Error | null };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <Empty title="This page met a fault of its own">
        <p>{this.state.error.message}</p>
        <p>Nothing happened to your runs. Reload the page; if it happens again, report it with the message above.</p>
        <button type="button" className="button" onClick={() => location.reload()}>
          Reload
        </button>
      </Empty>
    );
  }
}
