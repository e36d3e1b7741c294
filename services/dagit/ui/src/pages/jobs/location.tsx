// A code location: where it is, how it is, and why it is broken.
import type { Location } from "../../api/types";
import { ErrorChain } from "../../ui/error";
import { Notice } from "../../ui/parts";
import { LOCATION_LOOKS, Pill } from "../../ui/status";
import { Ago } from "../../ui/time";

export function LocationHead({ location }: { location: Location }) {
  const { name, status, host, port, image, definitions_hash, loaded_at } = location;
  return (
    <>
      <div className="card-head location-head">
        <h2>{name}</h2>
        <Pill look={LOCATION_LOOKS[status]} />
        <dl className="facts">
          {loaded_at !== null && (
            <div>
              <dt>loaded</dt>
              <dd>
                <Ago at={loaded_at} />
              </dd>
            </div>
          )}
          {image !== null && (
            <div className="clip">
              <dt>image</dt>
              <dd className="clip mono" title={image}>
                {image}
              </dd>
            </div>
          )}
          {definitions_hash !== null && (
            <div>
              <dt>definitions</dt>
              <dd className="mono" title={definitions_hash}>
                {definitions_hash.slice(0, 8)}
              </dd>
            </div>
          )}
          <div>
            <dt>server</dt>
            <dd className="mono">
              {host}:{port}
            </dd>
          </div>
        </dl>
      </div>
      <Trouble location={location} />
    </>
  );
}

function Trouble({ location: { status, error, stale, host, port } }: { location: Location }) {
  const kept = stale ? " What it served last is shown below." : "";
  if (status === "FAILED") {
    return (
      <div className="location-trouble">
        <Notice tone="red">
          Its code does not load.{kept} Fix the error and save the file, or redeploy: it is loaded again by itself.
        </Notice>
        {error && <ErrorChain error={error} />}
      </div>
    );
  }
  if (status === "UNREACHABLE") {
    return (
      <div className="location-trouble">
        <Notice tone="amber">
          Its code server does not answer at {host}:{port}.{kept} Check that it runs; Dagit connects again by itself.
        </Notice>
        {error && <ErrorChain error={error} open={false} />}
      </div>
    );
  }
  if (!stale) return null;
  return (
    <div className="location-trouble">
      <Notice tone="amber">These are the last good definitions, not what its server has now.</Notice>
    </div>
  );
}
