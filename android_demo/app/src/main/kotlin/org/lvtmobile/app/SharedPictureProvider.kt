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

private const val FILE_NAME = "lvt.png"
private const val MIME_TYPE = "image/png"

private fun sharedFile(context: Context) = File(context.cacheDir, FILE_NAME)

/**
 * Writes a picture to the cache and creates the intent to share it with another app.
 *
 * @param text text to share with the picture.
 * @throws java.io.IOException the picture cannot be written.
 */
fun shareIntent(context: Context, picture: Bitmap, text: String): Intent {
    sharedFile(context).outputStream().use { picture.compress(Bitmap.CompressFormat.PNG, 100, it) }
    val uri = Uri.parse("content://${context.packageName}.shared/$FILE_NAME")
    val send = Intent(Intent.ACTION_SEND).apply {
        type = MIME_TYPE
        putExtra(Intent.EXTRA_STREAM, uri)
        putExtra(Intent.EXTRA_TEXT, text)
        clipData = ClipData.newRawUri(null, uri) // passes the read permission to the chosen app
        addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
    }
    return Intent.createChooser(send, null)
}

/** Gives read access to the shared picture only, and only to the app that the user chose. */
class SharedPictureProvider : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String = MIME_TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (uri.lastPathSegment != FILE_NAME || mode != "r") {
            throw FileNotFoundException("cannot open $uri with mode $mode")
        }
        return ParcelFileDescriptor.open(sharedFile(checkNotNull(context)), ParcelFileDescriptor.MODE_READ_ONLY)
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
                    OpenableColumns.DISPLAY_NAME -> FILE_NAME
                    OpenableColumns.SIZE -> sharedFile(checkNotNull(context)).length()
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
