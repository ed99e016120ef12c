/*
 * nothing.c - starts and ends: what a static program cannot go below.
 */
int main(void)
{
	return 0;
}
