"""Three years of an organisation as a backfill stores them: facts alone, from which the product derives all else."""

from collections.abc import Iterator

YEARS = "3 years"
TEAMS, MEMBERS = 50, 20
ACCOUNTS = TEAMS * MEMBERS
ORGANISATION = ACCOUNTS + 1
BOT = ACCOUNTS + 2


def facts(*, pull_requests: int, repositories: int) -> Iterator[str]:
    """Yield the statements that store them.

    A repository is of the team of its number, and so are nine of ten of its authors; one of fifty pull requests is by a
    bot, one of ten is closed unmerged, and one of a hundred of the latest is open. Each has two commits, two reviews, a
    review request and a workflow run; a fifth began as drafts. Each merge brings three commits; one of ten is deployed.
    """
    yield f"""INSERT INTO activity_contributor (github_id, login, kind, stamp)
        SELECT i, 'account-' || i, CASE i WHEN {ORGANISATION} THEN 'organization' WHEN {BOT} THEN 'bot' ELSE 'user' END,
               ''
        FROM generate_series(1, {BOT}) i"""
    yield f"""INSERT INTO activity_installation (github_id, account_id, stamp, suspension_stamp)
        VALUES (1, {ORGANISATION}, '', '')"""
    yield f"""INSERT INTO activity_repository (github_id, full_name, owner_id, created_at, stamp)
        SELECT i, 'acme/' || i, {ORGANISATION}, now() - interval '{YEARS}', ''
        FROM generate_series(1, {repositories}) i"""
    yield f"""INSERT INTO activity_repositoryaccess (installation_id, repository_id, has_access, is_verified, stamp)
        SELECT 1, i, true, true, '' FROM generate_series(1, {repositories}) i"""
    yield f"""INSERT INTO activity_coverage (repository_id, stream, from_at, to_at)
        SELECT i, stream, now() - interval '4 years', now() - interval '10 minutes'
        FROM generate_series(1, {repositories}) i,
             unnest(ARRAY[
                'pull_requests', 'commits', 'deployments', 'issues', 'issue_comments', 'workflow_runs'
             ]) stream"""
    yield f"""CREATE TEMPORARY TABLE work AS
        SELECT *, CASE WHEN i % 10 <> 7 THEN ended_at END AS merged_at, first + (hash + 1) % {MEMBERS} AS second_id
        FROM (
            SELECT i, 1 + i % {repositories} AS repository_id, hash, seconds, at, first,
                   first + hash % {MEMBERS} AS reviewer_id,
                   CASE WHEN i % 50 = 0 THEN {BOT} WHEN i % 10 = 3 THEN 1 + hash % {ACCOUNTS}
                        ELSE first + hash / 7 % {MEMBERS} END AS author_id,
                   CASE WHEN at + seconds * interval '1 s' < now() AND NOT (i < 50000 AND i % 100 = 5)
                        THEN at + seconds * interval '1 s' END AS ended_at,
                   CASE WHEN hash % 9 > 0 THEN at + seconds / 3 * interval '1 s' END AS reviewed_at
            FROM generate_series(1, {pull_requests}) i, LATERAL (SELECT abs(hashint4(i)) AS hash) hashed,
                 LATERAL (
                    SELECT 1200 + hash % 1000 * (1 + hash % 400) AS seconds,
                           date_trunc('second', now() - i * interval '{YEARS}' / {pull_requests}) AS at,
                           1 + i % {repositories} * {TEAMS} / {repositories} * {MEMBERS} AS first
                 ) drawn
        ) AS drawn"""
    yield (
        """INSERT INTO activity_pullrequest (repository_id, number, title, state, author_id, created_at, updated_at,
            merged_at, closed_at, merge_sha, base_ref, head_ref, head_sha, is_cross_repository, is_draft, additions,
            deletions, changed_files, commit_count, labels, body, assignee_ids, listed_head_sha, listed_commit_count)
        SELECT repository_id, i, 'Change ' || i, CASE WHEN ended_at IS NULL THEN 'open' ELSE 'closed' END, author_id,
               at, coalesce(ended_at, at), merged_at, ended_at, CASE WHEN merged_at IS NOT NULL THEN md5(i || '-0') END,
               'main', CASE WHEN hash % 60 = 0 THEN 'hotfix-' ELSE 'branch-' END || i, md5(i || '-head'), false, false,
               hash % 900, hash % 300, 1 + hash % 9, 2, CASE WHEN i % 3 = 0 THEN ARRAY['bug'] ELSE ARRAY[]::text[] END,
               CASE WHEN i % 200 = 5 THEN 'Reverts #' || i + """
        f"""{repositories} ELSE '' END, ARRAY[]::bigint[],
               md5(i || '-head'), 2
        FROM work"""
    )
    yield """INSERT INTO activity_pullrequestcommit (repository_id, number, head_sha, sha, authored_at, committed_at,
            position, author_id, trailers)
        SELECT repository_id, i, md5(i || '-head'), md5(i || '-own-' || part), begun_at, begun_at, part, author_id,
               CASE WHEN hash % 7 = 0 THEN ARRAY['co-authored-by: Claude <noreply@anthropic.com>'] ELSE ARRAY[]::text[]
               END
        FROM work, generate_series(0, 1) part,
             LATERAL (SELECT at - hash % 90000 * interval '1 s' + part * interval '1 s' AS begun_at) begun"""
    yield """INSERT INTO activity_review (github_id, repository_id, number, author_id, submitted_at, commit_sha,
            verdict)
        SELECT i * 2 + half, repository_id, i, CASE half WHEN 0 THEN reviewer_id ELSE second_id END,
               reviewed_at + half * interval '5 min', md5(i || '-head'),
               CASE WHEN half = 0 AND hash % 4 = 0 THEN 'changes_requested' ELSE 'approved' END
        FROM work, generate_series(0, 1) half WHERE reviewed_at < now() - interval '5 min'"""
    yield """INSERT INTO activity_pullrequestevent (repository_id, number, kind, subject, at, source, actor_id)
        SELECT repository_id, i, kind, subject, happened_at, 'api', author_id
        FROM work, LATERAL (
            VALUES ('review_requested', reviewer_id::text, at, true),
                   ('ready_for_review', '', at + seconds / 6 * interval '1 s', hash % 5 = 0),
                   ('closed', '', at + seconds / 5 * interval '1 s', hash % 30 = 0),
                   ('reopened', '', at + seconds / 4 * interval '1 s', hash % 30 = 0)
        ) AS happening (kind, subject, happened_at, is_there)
        WHERE is_there AND happened_at < now()"""
    yield """INSERT INTO activity_commit (repository_id, sha, authored_at, committed_at, author_id, parent_count,
            presumed_landed_at)
        SELECT repository_id, md5(i || '-' || part), committed_at, committed_at, author_id, 1 + (hash % 10 = part)::int,
               merged_at
        FROM work, generate_series(0, 2) part,
             LATERAL (SELECT merged_at - part * interval '1 s' AS committed_at) made
        WHERE merged_at IS NOT NULL"""
    yield """INSERT INTO activity_workflowrun (repository_id, run_id, attempt, workflow_id, name, event, status,
            conclusion, head_branch, head_sha, created_at, started_at, in_progress_at, concluded_at, actor_id)
        SELECT repository_id, i, 1, 1, 'Tests', 'push', 'completed',
               (ARRAY['success', 'success', 'success', 'failure', 'cancelled'])[1 + hash % 5], 'branch-' || i,
               md5(i || '-head'), at, at, at + hash % 60 * interval '1 s', at + (60 + hash % 2000) * interval '1 s',
               author_id
        FROM work"""
    yield """INSERT INTO activity_deployment (github_id, repository_id, sha, environment, task, created_at)
        SELECT i, repository_id, md5(i || '-0'), CASE WHEN i % 3 = 0 THEN 'staging' ELSE 'production' END, 'deploy',
               merged_at + interval '1 min'
        FROM work WHERE hash % 10 = 0 AND merged_at IS NOT NULL"""
    yield """INSERT INTO activity_deploymentstatus (github_id, deployment_id, repository_id, state, environment,
            created_at)
        SELECT github_id, github_id, repository_id, CASE WHEN github_id % 20 > 0 THEN 'success' ELSE 'failure' END,
               environment, created_at + interval '5 min'
        FROM activity_deployment"""
    yield """INSERT INTO activity_issue (repository_id, number, title, state, labels, created_at, updated_at, closed_at)
        SELECT repository_id, 10000000 + i, 'Outage', 'closed', ARRAY['incident'], at, at,
               at + hash % 90000 * interval '1 s'
        FROM work WHERE hash % 300 = 0"""
    yield "INSERT INTO teams_incidentrule (pattern, field) VALUES ('incident', 'label')"
    yield "DROP TABLE work"
