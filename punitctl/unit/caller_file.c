#include "punitctl/unit/caller_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "punitctl/output.h"


/* Copies the pipe into the file. Nothing in the pipe, or a failure: the file goes. */
static int
copy(int from, int file, const char *path)
{
    char    buffer[4096];
    size_t  all = 0;
    ssize_t n;

    while ((n = read(from, buffer, sizeof(buffer))) > 0) {
        for (ssize_t done = 0; done < n;) {
            ssize_t one = write(file, buffer + done, (size_t) (n - done));

            if (one < 0) {
                unlink(path);
                return output_problem("file", "cannot write %s: %s", path, strerror(errno));
            }
            done += one;
        }
        all += (size_t) n;
    }
    if (n < 0 || all == 0 || fsync(file) < 0 || close(file) < 0) {
        unlink(path);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}


bool
caller_file_begin(caller_file_t *writer, const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int ends[2];

    if (file < 0) {
        output_problem("file",
                       errno == EEXIST ? "%s is there already, and is not overwritten"
                                       : "cannot write %s: %m",
                       path);
        return false;
    }
    if (pipe2(ends, O_CLOEXEC) < 0 || (writer->pid = fork()) < 0) {
        output_problem("file", "cannot begin to write %s: %s", path, strerror(errno));
        unlink(path);
        close(file);
        return false;
    }
    if (writer->pid == 0) {
        /* The main process ends on ^C, and then the file goes. */
        signal(SIGINT, SIG_IGN);
        close(ends[1]);
        _exit(copy(ends[0], file, path));
    }
    close(ends[0]);
    close(file);
    writer->to = ends[1];
    return true;
}


bool
caller_file_end(caller_file_t *writer, const char *content)
{
    size_t left = content != NULL ? strlen(content) : 0;
    int    status = -1;

    signal(SIGPIPE, SIG_IGN);
    while (left > 0) {
        ssize_t n = write(writer->to, content, left);

        if (n < 0) {
            break;
        }
        content += n;
        left -= (size_t) n;
    }
    close(writer->to);
    return waitpid(writer->pid, &status, 0) == writer->pid && status == 0;
}
