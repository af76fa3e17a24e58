package org.lvtmobile.app

import android.content.ClipData
import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.graphics.Bitmap
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException

private const val NAME = "lvt.png"
private const val TYPE = "image/png"

private fun file(context: Context) = File(context.cacheDir, NAME)

/**
 * Writes a picture and makes the intent that hands it to another app.
 *
 * @param text goes with it.
 * @throws java.io.IOException there is no room for it.
 */
fun shareIntent(context: Context, picture: Bitmap, text: String): Intent {
    file(context).outputStream().use { picture.compress(Bitmap.CompressFormat.PNG, 100, it) }
    val uri = Uri.parse("content://${context.packageName}.shared/$NAME")
    val send = Intent(Intent.ACTION_SEND).apply {
        type = TYPE
        putExtra(Intent.EXTRA_STREAM, uri)
        putExtra(Intent.EXTRA_TEXT, text)
        clipData = ClipData.newRawUri(null, uri) // so that the grant reaches whoever is chosen
        addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
    }
    return Intent.createChooser(send, null)
}

/** Lets the app that the user shares with read the one shared picture, and nothing else. */
class SharedPictures : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String = TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (uri.lastPathSegment != NAME || mode != "r") throw FileNotFoundException("no $uri to $mode")
        return ParcelFileDescriptor.open(file(checkNotNull(context)), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(
        uri: Uri,
        projection: Array<String>?,
        selection: String?,
        selectionArgs: Array<String>?,
        sortOrder: String?,
    ): Cursor {
        val columns = projection ?: arrayOf(OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE)
        val cursor = MatrixCursor(columns)
        cursor.addRow(
            columns.map {
                when (it) {
                    OpenableColumns.DISPLAY_NAME -> NAME
                    OpenableColumns.SIZE -> file(checkNotNull(context)).length()
                    else -> null
                }
            },
        )
        return cursor
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, selection: String?, args: Array<String>?): Int = 0

    override fun delete(uri: Uri, selection: String?, args: Array<String>?): Int = 0
}
