-- A dead letter becomes {"reason": R, "raw": the line}.
function process(r)
  local findings = r.findings
  local reason = "json"
  if findings then
    local first = findings[1]
    local problem = first.problem
    if problem == "pattern" then problem = "format" end
    reason = first.field .. ":" .. problem
  end
  return {{reason = reason, raw = r.original}}
end
