/* What starting a program costs at the least. */
int main(void)
{
	return 0;
}
